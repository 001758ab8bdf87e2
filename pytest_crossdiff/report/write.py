"""Reports as files: one for each form that is asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.store.files import remove_leftovers, replace_file, translate_os_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pytest_crossdiff.report.document import Report


REPORT_DIR = "crossdiff_report_dir"


def write(
    report: Report,
    formats: Iterable[str],
    folder: Path,
    name: str = "",
    *,
    setting: str = REPORT_DIR,
) -> list[Path]:
    """Write `report` to `folder`, made where it isn't there, in each of `formats` (`FORMATS`).

    name: of the files, without their ending; else it is made of the models' names.  Files of that
    name are replaced.  setting: says the folder.  Raises `SettingsError` for an unknown form and
    `StoreError` when it can't write.
    """
    paths = []
    for kind in formats:
        data = render(report, kind)
        path = folder / f"{name or file_name(report)}.{kind}"
        with translate_os_errors(path, "write", setting=setting):
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder)
            replace_file(path, data)
        paths.append(path)
    return paths


def render(report: Report, kind: str) -> bytes:
    """The report in one form, as the bytes of its file.  Raises `SettingsError` for unknown ones.

    Half of a surrogate pair, which no encoding has, is written as its escape.
    """
    if kind not in FORMATS:
        known = ", ".join(FORMATS)
        raise SettingsError(f"{kind!r} is no form of a report", remedy=f"give any of {known}")
    return FORMATS[kind](report).encode("utf-8", "backslashreplace")


def file_name(report: Report) -> str:
    """A plain file name, without an ending, that tells the two models and the layer, so that
    reports of several layers stand side by side.
    """
    models = report.result.baseline, report.result.candidate
    names = "-to-".join(_plain(_last(model.reference))[:60] or "model" for model in models)
    layers = dict.fromkeys(_plain(model.layer_name.partition(" of ")[0]) for model in models)
    return f"{names}-{'-to-'.join(layers)}"


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-.")


def _last(reference: str) -> str:
    """`model` of `org/model@1234567890abcdef`, with a revision that is a commit cut short."""
    name, at, revision = reference.replace("\\", "/").rstrip("/").rpartition("/")[2].partition("@")
    return name + at + (revision[:8] if len(revision) == 40 else revision)


def _json(report: Report) -> str:
    return report.to_json(indent=1) + "\n"


def _html(report: Report) -> str:
    from pytest_crossdiff.report.html import page

    return page(report)


def _markdown(report: Report) -> str:
    from pytest_crossdiff.report.markdown import markdown

    return markdown(report)


FORMATS: dict[str, Callable[[Report], str]] = {"html": _html, "json": _json, "md": _markdown}
