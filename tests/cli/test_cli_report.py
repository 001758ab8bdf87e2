"""`crossdiff report`: the report of a result as files."""

from __future__ import annotations

import json

from support.commands import crossdiff


def test_every_form_is_written_and_named(measured, tmp_path):
    done = crossdiff(measured, "report", "--html", "--md", "--json", f"--to={tmp_path}")
    assert done.returncode == 0, done.stderr
    written = [str(tmp_path / f"v1-to-v2-block-0.{form}") for form in ("html", "md", "json")]
    assert done.stdout.splitlines() == written
    data = json.loads((tmp_path / "v1-to-v2-block-0.json").read_text("utf-8"))
    assert [check["status"] for check in data["checks"]] == ["exceeded"]
    assert {s["name"]: s["source"] for s in data["settings"]}["layer"] == (
        "pytest.ini: crossdiff_layer"
    )


def test_a_page_without_being_asked_for_a_form(measured, tmp_path):
    crossdiff(measured, "report", f"--to={tmp_path}")
    assert [path.name for path in tmp_path.iterdir()] == ["v1-to-v2-block-0.html"]


def test_it_is_shown_in_the_browser_on_request(measured, tmp_path, monkeypatch):
    """The browser is a program that writes down what it is to show."""
    seen = tmp_path / "seen.txt"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {seen}\n')
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    done = crossdiff(measured, "report", "--open", f"--to={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert seen.read_text() == (tmp_path / "v1-to-v2-block-0.html").as_uri()
    nothing = crossdiff(measured, "report", "--open", "--md", f"--to={tmp_path}")
    assert "there is no page to open" in nothing.stderr


def test_one_form_to_the_output(measured):
    done = crossdiff(measured, "report", "--md", "--to=-")
    assert done.returncode == 0
    assert "Only in the baseline" in done.stdout
    assert crossdiff(measured, "report", "--md", "--json", "--to=-").returncode == 2


def test_a_report_can_be_named_as_a_result_again(measured, tmp_path):
    crossdiff(measured, "report", "--json", f"--to={tmp_path}")
    file = str(tmp_path / "v1-to-v2-block-0.json")
    first = crossdiff(measured, "show")
    again = crossdiff(measured, "show", file)
    assert again.returncode == 0, again.stderr
    tables = [done.stdout.partition("Only in")[2] for done in (first, again)]
    assert tables[0] == tables[1]
    read = crossdiff(measured, "show", file, "--on", "what is in it")
    assert read.returncode == 0, read.stderr


def test_a_folder_that_can_t_be_written_is_3(measured, tmp_path):
    (tmp_path / "file").write_text("")
    done = crossdiff(measured, "report", f"--to={tmp_path / 'file'}")
    assert done.returncode == 3
    assert "can't write" in done.stderr
    assert "to do: check that folder, or set --to to another one" in done.stderr
