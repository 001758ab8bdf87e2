"""Commands where the settings name several layers."""

from __future__ import annotations

import shutil

import pytest

from support.commands import crossdiff

LAYERS = "--layer=0,1"


@pytest.fixture(scope="module")
def both(measured, tmp_path_factory):
    """The measured project measured at another block, too, and what `crossdiff train` said."""
    folder = tmp_path_factory.mktemp("both") / "project"
    shutil.copytree(measured, folder)
    done = crossdiff(folder, "train", LAYERS)
    assert done.returncode == 1, done.stdout + done.stderr
    return folder, done.stdout


def headings(lines):
    return [line for line in lines if line.startswith("layer ")]


def test_each_is_listed(both):
    done = crossdiff(both[0], "show", LAYERS)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split("layer 1\n")
    assert first.startswith("layer 0\nOVER BUDGET: ")
    titles = [next(line for line in part.splitlines() if "->" in line) for part in (first, second)]
    assert [title.count(f"block {n}") for n, title in enumerate(titles)] == [1, 1]
    assert all("Only in the baseline" in part for part in (first, second))
    hint = first.rstrip().splitlines()[-1].partition("crossdiff ")[2]
    one = crossdiff(both[0], *hint.split())
    assert one.returncode == 0, one.stderr
    assert one.stdout.startswith("B1")


def test_the_features_of_each_are_listed(both):
    done = crossdiff(both[0], "show", LAYERS, "--tested")
    assert headings(done.stdout.splitlines()) == ["layer 0", "layer 1"]
    assert done.stdout.count("features tested") == 2


def test_a_difference_is_shown_of_each_layer_that_has_one_of_that_id(both):
    done = crossdiff(both[0], "show", LAYERS, "--id", "B1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert headings(lines) == ["layer 0", "layer 1"]
    assert sum(line.startswith("B1  only in the baseline") for line in lines) == 2
    missing = crossdiff(both[0], "show", LAYERS, "--id", "C9")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "no difference 'C9'" in missing.stderr


def test_a_text_is_read_at_one_layer(both):
    asked = "--on", "Is it in the box?"
    done = crossdiff(both[0], "show", LAYERS, *asked)
    assert done.returncode == 2
    assert "several layers, 0 and 1" in done.stderr
    assert crossdiff(both[0], "show", "--layer=0", *asked).returncode == 0


def test_each_has_a_report_that_leads_to_the_other(both, tmp_path):
    done = crossdiff(both[0], "report", LAYERS, f"--to={tmp_path}")
    assert done.returncode == 0, done.stderr
    pages = sorted(tmp_path.iterdir())
    assert [str(page) for page in pages] == sorted(done.stdout.splitlines())
    assert pages.pop(0).name == "index.html"
    assert len(pages) == 2
    for page, other in (pages, pages[::-1]):
        assert other.name in page.read_text("utf-8")


def test_the_output_takes_one_report(both):
    done = crossdiff(both[0], "report", LAYERS, "--md", "--to=-")
    assert (done.returncode, done.stdout) == (2, "")


def test_proposed_budgets_are_enough_for_each(both):
    done = crossdiff(both[0], "init", "--budgets", LAYERS)
    assert done.returncode == 0, done.stderr
    flags = [
        f"--{line.removeprefix('crossdiff_').replace(' = ', '=').replace('_', '-')}"
        for line in done.stdout.splitlines()
        if not line.startswith("#")
    ]
    assert len(flags) >= 2
    within = crossdiff(both[0], "train", LAYERS, "-q", *flags)
    assert within.returncode == 0, within.stdout + within.stderr


def test_one_that_was_not_measured_is_named_beside_one_that_was(both):
    done = crossdiff(both[0], "show", "--layer=0,2")
    assert done.returncode == 0
    assert "these settings have not been measured at layer 2" in done.stderr
    assert done.stdout.startswith("OVER BUDGET: ") or done.stdout.startswith("layer 0")


def test_what_is_known_of_one_is_told_though_another_fails(both):
    done = crossdiff(both[0], "train", "--layer=0,7")
    assert done.returncode == 3
    assert "OVER BUDGET: " in done.stdout
    assert "layer 7 is out of range" in done.stderr


def test_the_doctor_looks_at_each_layer_and_once_at_the_texts(both):
    done = crossdiff(both[0], "doctor", "--layer=0,1,2")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [sum(f"✓ {name:<17} " in line for line in lines) for name in (
        "baseline", "candidate", "texts", "alignment", "amount", "memory", "disk", "time",
    )] == [3, 3, 1, 1, 1, 1, 1, 1]  # fmt: skip
    missing = crossdiff(both[0], "doctor", "--layer=2").stdout.splitlines()
    assert lines[-3] == missing[-3]  # the others are measured


def test_what_is_measured_at_every_layer_is_fine(both):
    done = crossdiff(both[0], "doctor", LAYERS)
    assert "measured already: the next run answers from the cache" in done.stdout
