"""Shell completion, in the shells themselves where they are installed."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pytest_crossdiff.cli import main

CASES = [
    ("crossdiff ", {"train", "show", "cache", "completion", "--help"}, set()),
    ("crossdiff ca", {"cache"}, {"train"}),
    ("crossdiff cache ", {"list", "size", "prune", "verify"}, {"train"}),
    ("crossdiff cache prune --", {"--older-than", "--dry-run"}, {"--on"}),
    ("crossdiff show --o", {"--on"}, {"--older-than"}),
    ("crossdiff completion ", {"bash", "zsh", "fish"}, set()),
    ("crossdiff train --max-c", {"--max-candidate-only"}, {"--tokens"}),
]


@pytest.fixture(params=["bash", "zsh", "fish"])
def script(request, capsys, tmp_path):
    assert main(["completion", request.param]) == 0
    file = tmp_path / f"completion.{request.param}"
    file.write_text(capsys.readouterr().out, "utf-8")
    return request.param, file


def test_it_names_every_command(script):
    text = script[1].read_text("utf-8")
    for word in ("train", "show", "cache", "prune", "completion"):
        assert word in text


def test_its_syntax_is_that_of_its_shell(script):
    shell, file = script
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    subprocess.run([shell, "-n", file], check=True)


@pytest.mark.parametrize(("line", "offered", "not_offered"), CASES)
def test_bash_offers(line, offered, not_offered, capsys, tmp_path):
    if not shutil.which("bash"):
        pytest.skip("no bash here")
    main(["completion", "bash"])
    (tmp_path / "it").write_text(capsys.readouterr().out, "utf-8")
    ask = (
        f'. {tmp_path}/it; line={line!r}; read -ra COMP_WORDS <<< "$line"; '
        '[[ $line == *" " ]] && COMP_WORDS+=(""); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); '
        'cd /; _crossdiff; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    words = set(done.stdout.split())
    assert offered <= words
    assert not not_offered & words
