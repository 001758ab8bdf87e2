"""What the plugin adds to a pytest process: unused, and where a verdict lies in the cache.

    python -m benchmarks.speed.cached BASELINE CANDIDATE CORPUS [--tokens 8000] [--rounds 15]
                                      [--out FILE.json]

Whole processes with one trivial test: without the plugin, with it, and with a gate that the cache
answers; and beside them the part until pytest is configured, without other plugins, several times a
round.  Each is started in turn, round by round, since other programs may use the machine; what
counts is the least CPU and wall time.  The comparison is made first, into a cache of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import entry_points
from pathlib import Path
from statistics import median

from tabulate import tabulate

from benchmarks.machine import machine

FILE = Path(__file__).parent / "results" / "cached.json"
TRIVIAL = "def test_trivial(): pass\n"
GATE = "def test_gate(crossdiff): crossdiff.assert_within_budget()\n"
INI = """[pytest]
crossdiff_baseline = {baseline}
crossdiff_candidate = {candidate}
crossdiff_corpus = {corpus}
crossdiff_tokens = {tokens}
crossdiff_cache_dir = {cache}
crossdiff_max_candidate_only = 1000
crossdiff_max_baseline_only = 1000
crossdiff_min_fve = 0
crossdiff_inconclusive = warn
"""
SPY = """import json, sys

def pytest_unconfigure(config):
    (config.rootpath / "modules.json").write_text(json.dumps(sorted(sys.modules)))
"""
START = """import sys, time
from _pytest.config import _prepareconfig
began = time.process_time()
_prepareconfig(sys.argv[1:])._do_configure()
print(time.process_time() - began)
"""
STARTS = 8
"""Times a round."""
OTHERS = [f"-pno:{e.name}" for e in entry_points(group="pytest11") if e.name != "crossdiff"]
ALONE = {"pytest": (*OTHERS, "-pno:crossdiff"), "with the plugin": OTHERS}
HEAVY = {"torch", "transformers", "numpy", "safetensors"}
PATHS = ("baseline", "candidate", "corpus")
KINDS = {
    "pytest without the plugin": ("test_trivial.py", "-p", "no:crossdiff"),
    "the plugin unused": ("test_trivial.py",),
    "a gate answered from the cache": ("test_gate.py",),
}


def process(folder: Path, *arguments: str) -> tuple[float, float]:
    """CPU and wall seconds of a pytest process, which has to succeed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    began = time.perf_counter()
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    took = time.perf_counter() - began
    if status:
        raise SystemExit(f"{' '.join(command)}, in {folder}: exit status {status >> 8}")
    return used.ru_utime + used.ru_stime, took


def start(folder: Path, *arguments: str) -> float:
    """CPU milliseconds in which pytest is configured."""
    command = [sys.executable, "-c", START, "-p", "no:cacheprovider", *arguments]
    made = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return float(made.stdout) * 1e3


def modules(folder: Path, *arguments: str) -> set[str]:
    """What a process imported, at its end."""
    conftest = folder / "conftest.py"
    conftest.write_text(SPY)
    process(folder, *arguments)
    conftest.unlink()
    return set(json.loads((folder / "modules.json").read_text()))


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("baseline", "candidate", "corpus"):
        parser.add_argument(name)
    parser.add_argument("--tokens", type=int, default=8_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages have their bytecode
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
        places = {
            name: Path(value).resolve() for name, value in vars(args).items() if name in PATHS
        }
        ini = INI.format(**places, tokens=args.tokens, cache=folder / "cache")
        (folder / "pytest.ini").write_text(ini)
        (folder / "test_trivial.py").write_text(TRIVIAL)
        (folder / "test_gate.py").write_text(GATE)
        process(folder, "test_gate.py")
        imported = {name: modules(folder, *arguments) for name, arguments in KINDS.items()}
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in KINDS}
        starts: dict[str, list[float]] = {name: [] for name in ALONE}
        for _ in range(args.rounds):
            for name, arguments in KINDS.items():
                taken[name].append(process(folder, *arguments))
            for _ in range(STARTS):
                for name, arguments in ALONE.items():
                    starts[name].append(start(folder, *arguments))
    bare = next(iter(KINDS))
    least = {name: [min(column) for column in zip(*of, strict=True)] for name, of in taken.items()}
    rows = [
        {
            "process": name,
            "cpu_ms": round(cpu * 1e3),
            "wall_ms": round(wall * 1e3),
            "cpu_ms_more": round((cpu - least[bare][0]) * 1e3, 1),
            "wall_ms_more": round((wall - least[bare][1]) * 1e3, 1),
            "modules_more": len(imported[name] - imported[bare]),
            "heavy": sorted(HEAVY & imported[name]),
        }
        for name, (cpu, wall) in least.items()
    ]
    print(tabulate(rows, "keys", tablefmt="github"))
    result = {"machine": machine(), "rounds": args.rounds, "tokens": args.tokens, "rows": rows}
    result["start_ms"] = {
        name: {"least": round(min(took), 1), "median": round(median(took), 1)}
        for name, took in starts.items()
    }
    print(f"until pytest is configured, without other plugins: {result['start_ms']} CPU ms")
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
