"""A page that lists the pages of several pairs or layers.  Static: it has no script."""

from __future__ import annotations

import html
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytest_crossdiff.report.html import page_style, style_policy
from pytest_crossdiff.report.markdown import STATUS
from pytest_crossdiff.results.wording import behaviour
from pytest_crossdiff.text import number, plural, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_crossdiff.report.document import Report


def index_page(pages: Iterable[tuple[str, Report]]) -> str:
    """The page.  pages: file name beside it and report of each."""
    rows = "\n".join(_row(name, report) for name, report in pages)
    heads = "".join(
        f'<th scope="col">{text}</th>'
        for text in ("models", "read at", "texts", "verdict", "differences", "strongest")
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{html.escape(style_policy(), quote=True)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>crossdiff: reports</title>
<link rel="icon" href="data:,">
<style>{page_style()}</style>
</head>
<body>
<main id="main">
<h1>Reports of this run</h1>
<div class="scroll" tabindex="0" role="region" aria-label="Reports">
<table><thead><tr>{heads}</tr></thead><tbody>
{rows}
</tbody></table>
</div>
</main>
</body>
</html>
"""


def _row(name: str, report: Report) -> str:
    cells = "".join(f"<td>{text}</td>" for text in _cells(report))
    result = report.result
    models = f"{_last(result.baseline.reference)} → {_last(result.candidate.reference)}"
    link = f'<a href="{html.escape(quote(name), quote=True)}"><bdi>{_text(models)}</bdi></a>'
    return f'<tr><th scope="row">{link}</th>{cells}</tr>'


def _cells(report: Report) -> Iterator[str]:
    result = report.result
    yield _text(
        " → ".join(dict.fromkeys((result.baseline.layer_name, result.candidate.layer_name)))
    )
    yield f"<bdi>{_text(_last(result.corpus.source))}</bdi>"
    statuses = dict.fromkeys(STATUS.get(check.status, check.status) for check in report.checks)
    yield _text(", ".join(statuses) or "measured")
    yield "<br>".join(
        f"{plural(has.count, 'difference')}"
        + (f" and {has.possible} possible" if has.possible else "")
        + f" only in the {has.side}, strength {number(has.strength)}"
        for has in reversed(report.sides)
    )
    first = sorted(report.counted.differences, key=lambda d: (not d.confirmed, -d.strength))[:1]
    yield (
        "".join(f"{_text(d.id)}: <bdi>{_text(behaviour(d, result))}</bdi>" for d in first) or "none"
    )


def _last(reference: str) -> str:
    return PurePath(reference.replace("\\", "/")).name or reference


def _text(text: str) -> str:
    return html.escape(visible(text))
