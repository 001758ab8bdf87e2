"""See the package."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.families.classes import Job

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results" / "families.jsonl"
PAGE = ROOT / "docs" / "reference" / "model-families.md"
SECONDS = 120


def main(arguments: list[str] | None = None) -> int:
    """Scan classes, each in a process of its own, and write what came of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families")
    parser.add_argument("--only", default="", help="families, separated by commas")
    parser.add_argument("--mappings", default="", help="mappings, separated by commas")
    parser.add_argument("--out", type=Path, default=RESULTS, help="file of results (JSONL)")
    parser.add_argument("--again", action="store_true", help="those that are not right in --out")
    parser.add_argument(
        "--table", action="store_true", help="only write docs/reference/model-families.md"
    )
    options = parser.parse_args(arguments)
    from benchmarks.families import table

    if not options.table:
        _scan(options)
    rows = table.rows_of(options.out)
    sys.stdout.write(f"{table.exceptions(rows)}\n\n{table.totals(rows)}\n")
    if options.out == RESULTS and PAGE.exists():
        write_page(rows)
    return int(any("wrong" in (row.get("block"), row.get("output")) for row in rows))


def write_page(rows: list[dict[str, Any]]) -> None:
    """Put the tables between the marks of docs/reference/model-families.md."""
    from benchmarks.families import table

    text = PAGE.read_text("utf-8")
    for name in ("totals", "special", "exceptions"):
        made = getattr(table, name)(rows)
        block = rf"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)"
        text = re.sub(block, lambda _, made=made: f"{made}\n", text, flags=re.DOTALL)
    PAGE.write_text(text, "utf-8")


def _scan(options: argparse.Namespace) -> None:
    from benchmarks.families import table
    from benchmarks.families.classes import jobs

    only, mappings = ({*filter(None, o.split(","))} for o in (options.only, options.mappings))
    wanted = [
        job
        for job in jobs()
        if (not only or job.family in only) and (not mappings or job.mapping in mappings)
    ]
    if options.again:
        bad = {
            (row["family"], row["architecture"])
            for row in table.rows_of(options.out)
            if row["built"] is True
            and not {row.get("block"), row.get("output")} <= {"right", "none"}
        }
        wanted = [job for job in wanted if (job.family, job.architecture) in bad]
    with options.out.open("a" if options.again else "w", encoding="utf-8") as out:
        for job in wanted:
            row = in_own_process(job)
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            out.flush()


def in_own_process(job: Job) -> dict[str, Any]:
    """The result of one class; a crash or a hang is a result, too."""
    folder = tempfile.mkdtemp(prefix="family-")
    result = Path(folder) / "result.json"
    try:
        child = os.fork()
        if not child:
            _child(job, folder, result)
        began = time.monotonic()
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() - began > SECONDS:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                break
            time.sleep(0.01)
        if result.exists():
            found: dict[str, Any] = json.loads(result.read_text("utf-8"))
            return found
        return {**job._asdict(), "built": True, "block": "raised", "output": "raised",
                "block_note": "the process ended or hung"}  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _child(job: Job, folder: str, result: Path) -> None:
    from benchmarks.families.scan import scan

    try:
        row = scan(job, f"{folder}/model")
        result.write_text(json.dumps(row), "utf-8")
    finally:
        os._exit(0)


def _prepare() -> None:
    for name, value in {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}.items():
        os.environ.setdefault(name, value)
    import torch

    import benchmarks.families.scan  # noqa: F401  once, before the processes fork

    torch.set_num_threads(1)


if __name__ == "__main__":
    _prepare()
    sys.exit(main())
