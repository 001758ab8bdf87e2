"""`crossdiff baseline`: the archive of a measured project, and what is said of it."""

from __future__ import annotations

import shutil

import pytest

from support.commands import crossdiff


@pytest.fixture(scope="module")
def project(measured, tmp_path_factory):
    """The measured project with an archive of its baseline, whose weights and cache are gone."""
    folder = shutil.copytree(measured, tmp_path_factory.mktemp("archived") / "project")
    done = crossdiff(folder, "baseline", "export", "v1.crossdiff")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("wrote    v1.crossdiff, ")
    assert "archive, harvest, weights, states" in done.stdout
    assert "without replies: they were not measured" in done.stdout
    again = crossdiff(folder, "baseline", "export", "v1.crossdiff")
    assert (again.returncode, "is there already" in again.stderr) == (3, True)
    shutil.rmtree(folder / "models" / "v1")
    shutil.rmtree(folder / "cache")
    return folder


@pytest.mark.long
def test_the_next_candidate_is_judged_by_the_archive(project, tmp_path):
    folder = shutil.copytree(project, tmp_path / "project")
    gone = crossdiff(folder, "train")
    assert (gone.returncode, "models/v1" in gone.stderr) == (3, True)
    done = crossdiff(folder, "baseline", "import", "v1.crossdiff")
    assert done.returncode == 0, done.stderr
    assert "it fits the texts and the layers of the configuration" in done.stdout
    assert "crossdiff_baseline = archive:" in done.stdout
    trained = crossdiff(folder, "train")
    assert trained.returncode == 1, trained.stderr
    before = [line for line in (folder / "stdout.txt").read_text().splitlines() if "B1" in line]
    assert before
    assert [line for line in trained.stdout.splitlines() if "B1" in line] == before
    assert "its weights are not read; what an archive keeps of it is used" in trained.stderr


@pytest.mark.long
def test_an_archive_of_another_corpus_is_kept_and_refused(project, tmp_path):
    folder = shutil.copytree(project, tmp_path / "project")
    (folder / "other.txt").write_text("\n\n".join(f"Paragraph {n} of many." for n in range(400)))
    done = crossdiff(folder, "baseline", "import", "v1.crossdiff", "--corpus=other.txt")
    assert done.returncode == 3
    assert "does not fit: it is of another corpus" in done.stderr
    damaged = folder / "v1.crossdiff"
    damaged.write_bytes(damaged.read_bytes()[:-50_000])
    done = crossdiff(folder, "baseline", "import", "v1.crossdiff", "--cache-dir=empty")
    assert (done.returncode, "is damaged" in done.stderr) == (3, True)
