"""The files for Slurm, Kubernetes and SkyPilot: tidy, well formed, and with commands that exist.

The shell parts are run with programs that only say how they were called.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_crossdiff.cli.parser import parser

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
LINT = "{extends: default, rules: {document-start: disable, line-length: {max: 120}}}"
SAYS = '#!/bin/bash\necho "$(basename "$0")" "$@" >> "$CALLS"\n'


def example(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name).read_text("utf-8"))


@pytest.mark.parametrize("name", ["kubernetes.yaml", "skypilot.yaml"])
def test_they_are_tidy(name: str) -> None:
    command = [sys.executable, "-m", "yamllint", "--strict", "-d", LINT, str(EXAMPLES / name)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def called(script: str, folder: Path, **environment: str) -> list[list[str]]:
    """The programs that a script calls, in their order, each with its arguments."""
    programs = folder / "programs"
    programs.mkdir()
    for name in ("torchrun", "pytest"):
        (programs / name).write_text(SAYS)
        (programs / name).chmod(0o755)
    (programs / "srun").write_text('#!/bin/bash\n[[ $1 = --* ]] && shift\nexec "$@"\n')
    (programs / "scontrol").write_text("#!/bin/bash\nprintf 'node7\\nnode8\\n'\n")
    for name in ("srun", "scontrol"):
        (programs / name).chmod(0o755)
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "activate").touch()
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    told = {**os.environ, "PATH": path, "CALLS": str(folder / "calls"), **environment}
    subprocess.run(["bash", "-c", script], cwd=folder, env=told, check=True)
    return [shlex.split(line) for line in (folder / "calls").read_text().splitlines()]


def trains(call: list[str]) -> Any:
    """What `crossdiff` makes of the arguments of a call of torchrun."""
    at = call.index("-m")
    assert call[at + 1] == "pytest_crossdiff"
    return parser().parse_args(call[at + 2 :])


def test_slurm_starts_one_torchrun_a_node_and_asks_for_the_verdict(tmp_path: Path) -> None:
    script = (EXAMPLES / "slurm.sbatch").read_text("utf-8")
    asked = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", script, re.MULTILINE))
    assert (asked["nodes"], asked["ntasks-per-node"], asked["gpus-per-node"]) == ("2", "1", "8")
    slurm = {"SLURM_JOB_NODELIST": "node[7-8]", "SLURM_NNODES": "2", "SLURM_JOB_ID": "12"}
    torchrun, pytest_call = called(script, tmp_path, **slurm, SLURM_GPUS_ON_NODE="8")
    assert torchrun[:3] == ["torchrun", "--nnodes=2", "--nproc-per-node=8"]
    assert "--rdzv-endpoint=node7:29500" in torchrun
    options = trains(torchrun)
    assert (options.command, options.no_verdict) == ("train", True)
    cache = str(tmp_path / ".crossdiff")
    assert vars(options)["setting cache_dir"] == cache
    assert pytest_call == [
        "pytest", "--crossdiff", f"--crossdiff-cache-dir={cache}", "--crossdiff-train=never",
    ]  # fmt: skip


def test_skypilot_keeps_what_is_finished_in_the_bucket(tmp_path: Path) -> None:
    job = example("skypilot.yaml")
    assert job["resources"]["accelerators"] == "H100:8"
    assert list(job["file_mounts"]) == ["/kept"]
    kept = tmp_path / "kept"
    (kept / "cache").mkdir(parents=True)
    (kept / "cache" / "before").touch()
    script = job["run"].replace("/kept", str(kept))
    cache = str(tmp_path / "cache")
    torchrun, verdict = called(script, tmp_path, CACHE=cache, SKYPILOT_NUM_GPUS_PER_NODE="8")
    assert torchrun[:3] == ["torchrun", "--standalone", "--nproc-per-node=8"]
    assert vars(trains(torchrun))["setting cache_dir"] == cache
    assert verdict[0] == "pytest"
    assert (tmp_path / "cache" / "before").exists()


def test_kubernetes_has_what_the_training_operator_asks_for() -> None:
    job = example("kubernetes.yaml")
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "PyTorchJob")
    assert job["spec"]["nprocPerNode"] == "8"
    roles = job["spec"]["pytorchReplicaSpecs"]
    assert set(roles) == {"Master", "Worker"}
    assert roles["Master"]["replicas"] == 1
    for role in roles.values():
        assert role["restartPolicy"] in {"OnFailure", "Never", "Always", "ExitCode"}
        pod = role["template"]["spec"]
        (container,) = pod["containers"]
        assert container["name"] == "pytorch"  # the operator looks for this name
        assert (
            str(container["resources"]["limits"]["nvidia.com/gpu"]) == job["spec"]["nprocPerNode"]
        )
        assert container["command"][0] == "torchrun"
        options = trains(container["command"])
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
        assert vars(options)["setting cache_dir"].startswith(mounts["work"])
