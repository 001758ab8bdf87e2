"""What a message and Markdown say of replies: both models' answers side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.report.markup import escaped
from pytest_crossdiff.results.wording import describe_in_common, describe_replies
from pytest_crossdiff.text import Display, cut, percent, quoted, visible, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_crossdiff.results.in_common import InCommon
    from pytest_crossdiff.results.replies import Likeliest, ReplyPair
    from pytest_crossdiff.results.result import Result

SHOWN = 0, 2, 10
"""Prompts whose replies are shown with -q, without, with -v."""
IN_MARKDOWN, NAMED = 5, 2
"""Prompts in Markdown; tokens that are named where two replies part."""
IN_COMMON = "What the candidate's {} surprising replies of {} have in common"
QUESTION, REPLY = 200, 300
"""Characters of a question and of a reply in Markdown."""


def replies(result: Result) -> str:
    """The replies in one line, or why there are none; "" where the corpus asks for none."""
    if result.replies is not None:
        return describe_replies(result.replies)
    missing = result.replies_wanted and result.no_replies
    return f"not compared: {visible(result.no_replies)}" if missing else ""


def most_surprising(result: Result) -> list[ReplyPair]:
    """The pairs of replies that differ, the most surprising first."""
    found = () if result.replies is None else result.replies.pairs
    return [pair for pair in found if not pair.same]


def reply_lines(pairs: Iterable[ReplyPair], display: Display) -> list[str]:
    """Replies side by side, for a message; with -v how surprising each is, and where they part."""
    lines: list[str] = []
    for pair in list(pairs)[: display.of(*SHOWN)]:
        lines += [
            "",
            cut(f"Asked {visible(pair.document)}: {visible(pair.question)}", display.width),
        ]
        for side, of in (("baseline", pair.baseline), ("candidate", pair.candidate)):
            surprise = f"({of.surprise:+.2f} nats) " if display.verbosity > 0 else ""
            lines.append(cut(f"  {side:9} {surprise}{quoted([of.text])}", display.width))
        if display.verbosity > 0:
            lines += wrapped(f"  {where_they_part(pair)}", display.width, 4)
    return lines


def in_common_lines(found: InCommon | None, display: Display) -> list[str]:
    """What the candidate's surprising replies share, for a message."""
    if found is None:
        return []
    lines = ["", f"{IN_COMMON.format(found.count, found.total)}:"]
    for sentence in describe_in_common(found):
        lines += wrapped(f"  {sentence}", display.width, 4)
    return lines if lines[2:] else []


def in_common_section(found: InCommon | None) -> Iterator[str]:
    """The same as Markdown."""
    sentences = () if found is None else describe_in_common(found)
    if found is not None and sentences:
        yield from ("", f"{IN_COMMON.format(found.count, found.total)}:", "")
    yield from (f"- {escaped(sentence, 300)}" for sentence in sentences)


def where_they_part(pair: ReplyPair) -> str:
    """`Behind "I" the baseline says ' can' (0.61) or …, the candidate "'m" (0.93) or …`."""
    before = pair.baseline.text[: pair.common]
    place = f"Behind …{visible(before[-30:])!r}" if before else "At the beginning"
    return (
        f"{place} the baseline says {_likeliest(pair.baseline_next)}, "
        f"the candidate {_likeliest(pair.candidate_next)}"
    )


def reply_section(result: Result) -> Iterator[str]:
    """The same as Markdown."""
    line = replies(result)
    if line:
        yield from ("", f"Replies: {escaped(line, 400)}")
    for pair in most_surprising(result)[:IN_MARKDOWN]:
        yield ""
        yield f"- {escaped(pair.document)}: {escaped(pair.question, QUESTION)}"
        for side, of in (("baseline", pair.baseline), ("candidate", pair.candidate)):
            yield f"  - {side} ({of.surprise:+.2f} nats): {escaped(of.text, REPLY)}"
        yield f"  - {escaped(where_they_part(pair))}"


def _likeliest(found: Likeliest) -> str:
    parts = [f"{quoted([token])} ({percent(p)})" for token, p in found[:NAMED]]
    return " or ".join(parts) or "nothing"
