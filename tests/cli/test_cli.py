"""`crossdiff train` and what all commands share: settings, exit codes, help."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import transformers as tf

from pytest_crossdiff.cli import main
from pytest_crossdiff.cli.terminal import Terminal
from pytest_crossdiff.gate import accepted_file
from pytest_crossdiff.gate.fingerprint import Fingerprint
from pytest_crossdiff.results.difference import Firing
from support import commands, tiny_models
from support.commands import PAIR
from support.fake_engine import install_for_subprocess
from support.results import make_difference, make_entry, make_model, make_result


@pytest.fixture
def crossdiff(project):
    """Call the command in a process of its own, with an engine that answers `result`."""

    def call(result, *arguments, **environment):
        install_for_subprocess(project.path, result)
        environment = {"PYTHONPATH": _python_path(project.path), **environment}
        return commands.crossdiff(
            project.path,
            *arguments,
            PYTEST_ADDOPTS="-p no:hypothesispytest -p fake_engine",
            **environment,
        )

    return call


def _python_path(folder):
    import os

    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))


class TestTrain:
    def test_within_budget_is_0(self, project, crossdiff):
        project.makepyfile("raise RuntimeError('test files are not even imported')")
        done = crossdiff(make_result(), "train")
        assert (done.returncode, done.stderr.splitlines()) == (
            0,
            ["crossdiff: harvest baseline: 4 tokens", "crossdiff: harvest baseline: done in 0.0 s"],
        )
        assert done.stdout.splitlines() == [
            "within budget: org/old -> org/new, block 6 of 12",
            "  candidate-only  0 differences, budget 0; joint strength 0",
            "  baseline-only   0 differences, budget 0; joint strength 0",
            "  time            1 min 10 s",
        ]

    def test_workers_that_the_ini_file_asks_for_are_not_started(self, project, crossdiff):
        pytest.importorskip("xdist")
        project.makefile(".ini", pytest=f"[pytest]\naddopts = -n2\n{PAIR}")
        done = crossdiff(make_result(), "train")
        assert done.returncode == 0, done.stdout
        assert "workers" not in done.stdout
        assert len((project.path / "asked.txt").read_text().splitlines()) == 1

    def test_a_budget_exceeded_is_1(self, crossdiff):
        done = crossdiff(make_result(make_difference()), "train")
        assert done.returncode == 1
        assert "CANDIDATE-ONLY: 1 difference, budget 0; joint strength 0.01" in done.stdout
        assert "OVER BUDGET: org/old -> org/new, block 6 of 12" in done.stdout.splitlines()

    def test_an_inconclusive_verdict_is_4(self, project, crossdiff):
        result = make_result(make_difference(certainty="possible"))
        done = crossdiff(result, "train")
        assert done.returncode == 4, done.stdout
        assert "INCONCLUSIVE" in done.stdout
        project.makefile(".ini", pytest=f"[pytest]\n{PAIR}crossdiff_inconclusive = warn\n")
        done = crossdiff(result, "train")
        assert done.returncode == 0, done.stdout
        assert "Warning" not in done.stderr

    def test_without_a_verdict_whatever_was_measured_is_0(self, crossdiff):
        assert crossdiff(make_result(make_difference()), "train", "--no-verdict").returncode == 0
        poor = make_result(candidate=make_model(fve=0.0))
        assert crossdiff(poor, "train", "--no-verdict").returncode == 0

    def test_accepted_differences_don_t_count_and_what_became_of_them_is_told(
        self, project, crossdiff
    ):
        found, gone = make_difference(), make_difference("C2")
        gone = dataclasses.replace(gone, firing=(Firing("d", "0" * 16, 3, 1.0),))
        slot = accepted_file.Slot("builtin:pydoc", "0.5", "0.5")
        entries = [
            make_entry(id=f"c-0000000{n}", slot=slot, fingerprint=Fingerprint.of(d, 300))
            for n, d in enumerate((found, gone))
        ]
        accepted_file.write(project.path / accepted_file.FILE, entries)
        done = crossdiff(make_result(found), "train")
        assert done.returncode == 0, done.stdout
        assert "  accepted        C1, c-00000000 (Ann, 2026-01-02: wanted)" in done.stdout
        assert done.stdout.splitlines()[-2:] == [
            "crossdiff: accepted, but not found: C1, c-00000001 (Ann, 2026-01-02: wanted)",
            (
                f"crossdiff: 1 entry of {accepted_file.FILE} can be removed, "
                "if this run had all the tests"
            ),
        ]

    def test_flags_are_those_of_pytest_without_their_prefix(self, crossdiff):
        result = make_result(make_difference())
        done = crossdiff(result, "train", "-q", "--max-candidate-only", "1")
        assert done.returncode == 0
        assert done.stdout == (
            "crossdiff: within budget: org/old -> org/new, block 6 of 12: "
            "candidate-only 1, baseline-only 0\n"
        )
        assert done.stderr == ""

    @pytest.mark.parametrize(
        ("result", "arguments", "code", "message"),
        [
            (make_result(candidate=make_model(fve=0.0)), [], 3, "no verdict: the dictionary"),
            (make_result(), ["--layer=x"], 2, "crossdiff: --layer = 'x' is not valid"),
            (make_result(), ["--baseline="], 2, "crossdiff: crossdiff_baseline is not set"),
        ],
    )
    def test_not_measured_is_3_and_a_wrong_setting_2(
        self, crossdiff, result, arguments, code, message
    ):
        done = crossdiff(result, "train", *arguments)
        assert done.returncode == code
        assert message in done.stderr
        assert "Traceback" not in done.stdout + done.stderr

    def test_a_misspelt_setting_in_the_ini_file_is_2(self, project, crossdiff):
        project.makefile(".ini", pytest="[pytest]\ncrossdiff_leyer = 3")
        done = crossdiff(make_result(), "train")
        assert done.returncode == 2
        assert "did you mean crossdiff_layer?" in done.stderr

    def test_a_configuration_that_pytest_refuses_is_2(self, project, crossdiff):
        project.makefile(".ini", pytest=f"[pytest]\naddopts = --no-such-flag\n{PAIR}")
        done = crossdiff(make_result(), "train")
        assert done.returncode == 2
        assert "--no-such-flag" in done.stderr
        assert "crossdiff: pytest can't be configured here" in done.stderr

    def test_settings_are_found_from_below_as_pytest_finds_them(self, project, crossdiff):
        (project.path / "deep" / "er").mkdir(parents=True)
        project.makefile(".ini", pytest="")
        (project.path / "pytest.ini").unlink()
        project.makepyprojecttoml("[tool.pytest.ini_options]\ncrossdiff_layer = 'x'")
        crossdiff(make_result(), "train")
        done = commands.crossdiff(project.path / "deep" / "er", "train")
        assert "from: pyproject.toml: crossdiff_layer" in done.stderr

    def test_a_fixture_that_gives_the_texts_is_not_passed_over_in_silence(self, project, crossdiff):
        project.makeconftest(
            "import pytest\n@pytest.fixture(scope='session')\ndef crossdiff_corpus(): return []\n"
        )
        done = crossdiff(make_result(), "train")
        assert "its fixture crossdiff_corpus is not read here" in done.stderr
        done = crossdiff(make_result(), "train", "--corpus=builtin:pydoc")
        assert "crossdiff_corpus" not in done.stderr

    def test_labels_are_those_of_the_tests(self, project, crossdiff):
        project.makeconftest(
            "def pytest_crossdiff_label_feature(config, difference):\n"
            "    assert config.rootpath.name and difference.id != 'C2'\n"
            "    return f'a name for {difference.id}'\n"
        )
        done = crossdiff(make_result(make_difference(), make_difference("C2")), "train")
        assert "a name for C1" in done.stdout
        assert "crossdiff: C2 has no label: pytest_crossdiff_label_feature gave" in done.stderr


def test_a_real_pair_is_measured_and_over_budget(measured):
    """The difference is planted: the candidate can't tell some words apart."""
    out = (measured / "stdout.txt").read_text("utf-8")
    assert out.startswith("BASELINE-ONLY: ")
    assert "OVER BUDGET: models/v1 -> models/v2, block 0 of 3\n" in out
    assert out.endswith("\ncrossdiff report: crossdiff-report/v1-to-v2-block-0.html\n")
    assert (measured / "crossdiff-report" / "v1-to-v2-block-0.html").exists()
    told = (measured / "stderr.txt").read_text("utf-8").splitlines()
    begun = re.compile(r"crossdiff: \[\d+/\d+\] train dictionaries: 250 steps")
    assert any(begun.fullmatch(line) for line in told)


def test_measured_once_it_is_answered_from_the_cache_without_torch(measured):
    probe = (
        "import sys\nfrom pytest_crossdiff.cli import main\ncode = main(['train', '-q'])\n"
        "assert not {'torch', 'transformers', 'numpy'} & sys.modules.keys()\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=measured, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")


def test_a_model_that_isn_t_there_is_3_and_what_sounds_like_it_is_named(measured):
    done = commands.crossdiff(measured, "train", "--candidate=models/v3")
    assert done.returncode == 3
    assert "crossdiff: models/v3@main is neither a folder here nor in" in done.stderr
    assert f"did you mean {measured}/models/v" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("layer", ["0", "output"])
def test_a_model_that_cannot_be_run_on_text_is_3_and_says_what_to_set(measured, layer, tmp_path):
    config = tf.XmodConfig(**tiny_models.SHORT, languages=["en_XX", "de_DE"])
    folder = tiny_models.save(tiny_models.build(tf.XmodForMaskedLM, config), tmp_path / "xmod")
    project = shutil.copytree(measured, tmp_path / "project")
    done = commands.crossdiff(project, "train", f"--candidate={folder}", f"--layer={layer}")
    assert done.returncode == 3
    assert "can't be run on text alone; it says ValueError: Input language unknown" in done.stderr
    assert "set default_language in its config.json" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
def test_ctrl_c_says_what_is_kept_and_the_next_run_goes_on(measured, tmp_path):
    shutil.copytree(measured / "cache" / "harvest", tmp_path / "cache" / "harvest")
    longer = ["train", f"--cache-dir={tmp_path / 'cache'}", "--steps=100000"]
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from pytest_crossdiff.cli import main; sys.exit(main({longer!r}))"
    )  # a background job ignores the signal, and its children with it
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=measured,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        told = []
        for line in process.stderr:
            told.append(line.rstrip())
            if "] train dictionaries:" in line:
                time.sleep(1.5)  # it has begun, and 100,000 steps take longer
                process.send_signal(signal.SIGINT)
                break
        told += process.stderr.read().splitlines()
    assert process.returncode == 130, told
    kept = "what is finished is kept, and the next run goes on from there"
    assert any("train dictionaries: stopped after" in x and x.endswith(kept) for x in told)
    assert not any("read baseline" in line for line in told[1:])  # both harvests were there
    assert told[-1].startswith("crossdiff: interrupted; what is finished is kept")
    assert "Traceback" not in "".join(told)


@pytest.mark.parametrize("arguments", [["--help"], ["cache", "list"], ["completion", "bash"]])
def test_what_needs_no_model_imports_nothing_heavy(measured, arguments):
    probe = (
        "import atexit, json, sys\nfrom pytest_crossdiff.cli import main\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        f"main({arguments!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=measured, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stderr))
    assert not {"torch", "transformers", "numpy", "safetensors"} & loaded
    if "list" not in arguments:
        assert "pytest" not in loaded


class TestHelp:
    @pytest.mark.parametrize(
        "command",
        [
            ["init"],
            ["doctor"],
            ["train"],
            ["show"],
            ["cache"],
            ["cache", "prune"],
            ["completion"],
            ["report"],
            [],
        ],
    )
    def test_it_teaches_with_examples_that_are_commands_themselves(self, capsys, command):
        from pytest_crossdiff.cli.parser import parser

        with pytest.raises(SystemExit) as end:
            main([*command, "--help"])
        assert end.value.code == 0
        text = capsys.readouterr().out
        assert text.startswith(f"usage: {' '.join(['crossdiff', *command])}")
        examples = [x.strip() for x in text.splitlines() if x.startswith("  crossdiff ")]
        assert examples or command == ["cache", "prune"]
        for line in examples:
            parser().parse_args(_arguments(line))

    def test_train_lists_every_setting_that_is_a_flag(self, capsys):
        with pytest.raises(SystemExit):
            main(["train", "--help"])
        text = capsys.readouterr().out
        assert "--max-candidate-only-strength" in text
        assert "--trust-remote-code" not in text

    def test_every_exit_code_is_explained(self, capsys):
        with pytest.raises(SystemExit):
            main(["--help"])
        text = capsys.readouterr().out
        for code in (0, 1, 2, 3, 4, 130):
            assert f"\n  {code:<5}" in text

    @pytest.mark.parametrize("arguments", [[], ["trian"], ["show", "--sid=x"], ["cache"]])
    def test_a_wrong_command_is_2(self, capsys, arguments):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
        assert capsys.readouterr().err.startswith("usage: crossdiff")


def _arguments(line):
    """The arguments of an example, which two spaces part from what is said of it."""
    import shlex

    return [
        x for x in shlex.split(line.partition("  ")[0].partition(" >")[0])[1:] if x != "COMMAND"
    ]


class TestColours:
    class Screen:
        def __init__(self, terminal):
            self.terminal = terminal

        def isatty(self):
            return self.terminal

    @pytest.mark.parametrize(
        ("terminal", "environment", "coloured"),
        [
            (True, {}, True),
            (False, {}, False),
            (True, {"NO_COLOR": "1"}, False),
            (True, {"NO_COLOR": ""}, True),
            (True, {"TERM": "dumb"}, False),
            (False, {"FORCE_COLOR": "1"}, True),
            (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ],
    )
    @pytest.mark.skipif(sys.platform == "win32", reason="no colours there")
    def test_they_are_for_terminals(self, monkeypatch, terminal, environment, coloured):
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        out = Terminal.of(self.Screen(terminal))
        assert out.paint("B1", "baseline") == ("\x1b[1;35mB1\x1b[0m" if coloured else "B1")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell with a pipe")
def test_a_reader_that_has_enough_is_no_error(measured):
    done = subprocess.run(
        f"{sys.executable} -m pytest_crossdiff train --help | head -1",
        shell=True,
        cwd=measured,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.startswith("usage"), done.stderr) == (True, "")
