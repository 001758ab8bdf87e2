"""The report as one page of HTML that needs no network and no other file.

The page's own code (`page/`) draws everything from the data that is in it.  A policy in the page
lets nothing else run or load, whatever the texts of a corpus hold.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import json
from functools import cache
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from pytest_crossdiff.report.markdown import STATUS
from pytest_crossdiff.report.screen.todo import accept_command, command_of_test
from pytest_crossdiff.results.difference import Context, Difference
from pytest_crossdiff.results.in_common import InCommon
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.results.wording import (
    behaviour,
    describe_in_common,
    reconciled,
    telling_context,
    three_numbers,
)
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import visible

if TYPE_CHECKING:
    from pytest_crossdiff.report.document import Report

LARGEST = 4_600_000
"""Bytes of data in a page; where there are more, it has fewer contexts of each difference."""
STYLES = ("page.css", "parts.css")
SCRIPTS = tuple(
    f"{name}.js"
    for name in (
        *("dom", "data", "charts", "map", "contexts", "table"),
        *("feature", "measurement", "output", "population", "replies"),
        *("strongest", "overview", "main"),
    )
)
_UNSAFE = {ord(ch): f"\\u{ord(ch):04x}" for ch in "<>&\u2028\u2029"}


def page(report: Report) -> str:
    """The page of `report`."""
    style = page_style()
    script = f'"use strict";(() => {{\n{"".join(map(_asset, SCRIPTS))}}})();'
    policy = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
    policy += f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    result = report.result
    return Template(_asset("page.html")).substitute(
        title=html.escape(f"{result.baseline.reference} → {result.candidate.reference}"),
        policy=html.escape(policy, quote=True),
        style=style,
        data=_data(report),
        script=script,
        summary=html.escape(_summary(report)),
    )


def page_style() -> str:
    """The style sheet of every page."""
    return "".join(map(_asset, STYLES))


def style_policy() -> str:
    """The policy of a page that has this style and nothing else."""
    rest = "img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; {rest}; style-src '{_hash(page_style())}'"


def _data(report: Report) -> str:
    """The report as JSON that can stand in a script element: nothing in it ends the element."""
    for most in (None, 6, 4, 3, 2, 1, 0):
        text = json.dumps(
            _Plain(most, report)(report),
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        ).translate(_UNSAFE)
        if len(text.encode("utf-8", "backslashreplace")) <= LARGEST:
            break
    return text


class _Plain:
    """The report in a form for the page: what isn't shown left out, repeated names spared.

    most: contexts of a difference, None for all.
    """

    def __init__(self, most: int | None, report: Report) -> None:
        self.most = most
        self.result = report.result
        failed = next((check.test for check in report.checks if not check.passed), "")
        self.command = command_of_test(failed)

    def __call__(self, value: object) -> object:
        if isinstance(value, float):
            return float(f"{value:.5g}")
        if isinstance(value, (tuple, list)):
            return [self(item) for item in value]
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        if not dataclasses.is_dataclass(value):
            return value
        given = dict(vars(value))
        match value:
            case Context():
                spans = ((s.start, s.end, s.activation, s.other) for s in value.spans)
                given["spans"] = [number for span in spans for number in span]
            case Difference():
                del given["firing"]
                given["contexts"] = value.contexts[: self.most]
                telling = telling_context(value, self.result)
                given["telling"] = -1 if telling is None else value.contexts.index(telling)
                given["accept"] = accept_command(self.command, visible(value.id))
                given["sentence"] = behaviour(value, self.result)
                given["numbers"] = three_numbers(value)
                given["omitted"] = len(value.contexts) - len(given["contexts"])
            case InCommon():
                return {"total": value.count, "sentences": [*describe_in_common(value)]}
            case Result():
                rows = [vars(feature) for feature in value.features]
                given["reconciled"] = {side: reconciled(value, side) for side in SIDES}
                given["features"] = {
                    name: [row[name] for row in rows] for name in (rows or [{}])[0]
                }
        return {name: self(item) for name, item in given.items()}


def _summary(report: Report) -> str:
    checks = [STATUS.get(check.status, check.status) for check in report.checks]
    counts = [f"{has.count} only in the {has.side}" for has in reversed(report.sides)]
    return f"{', '.join(checks) or 'Measured'}. Differences: {', '.join(counts)}."


@cache
def _asset(name: str) -> str:
    return (resources.files(__package__) / "page" / name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
