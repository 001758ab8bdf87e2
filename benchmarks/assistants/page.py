"""From records to committed results, and from those to `docs/evidence/assistants.md`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from benchmarks.assistants.family import CHANGES, PLANTED
from benchmarks.assistants.measure import LAYERS
from benchmarks.documents import DOCS, write_blocks
from benchmarks.organisms.judging.gate import names_plant
from benchmarks.organisms.pages.scores import rate
from benchmarks.records import Records, read_tables, write_tables
from pytest_crossdiff.report.markup import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.assistants.family import Family

PAGE = DOCS / "evidence" / "assistants.md"
RESULTS = Path(__file__).parent / "results" / "assistants.jsonl"
BLOCK = "assistants"
Row = dict[str, Any]
KEPT = (
    "status", "reason", "alarm", "confirmed", "possible", "strength", "limit", "null_found",
    "pairs", "cpu_seconds", "differences", "accounting",
)  # fmt: skip
WORDS = {behaviour.name: behaviour.words for behaviour in PLANTED}
ALTERNATIVES = {
    "kl": ("KL of the outputs", 1),
    "first_kl": ("KL at the first token of an answer", 1),
    "first_changed": ("share of answers with another first token", 1),
    "same_reply": ("word overlap of the replies", -1),
}
"""What each is called, and whether more of it or less means a change."""
HALVES = {
    "development": "The development half",
    "reporting": "The reporting half",
    "confirming": "Built after the reporting half was measured",
    "second": "The second reporting half",
}


def write(family: Family) -> None:
    """Commit what was built and measured to `RESULTS`, and draw the page from that."""
    write_tables(RESULTS, {"copies": collect(family)})
    write_blocks(tables())


def tables() -> dict[tuple[Path, str], str]:
    """The generated block, by its page and name."""
    return {(PAGE, BLOCK): drawn(read_tables(RESULTS)["copies"])}


def collect(family: Family) -> list[Row]:
    """What is known of every copy that was built, in the order of the code."""
    facts = family.facts
    steps = (*LAYERS, "said", "alternatives")
    measured = {name: Records(family.root / f"{name}.jsonl") for name in steps}
    rows: list[Row] = []
    for change in CHANGES:
        if change.name not in facts:
            continue
        row: Row = {"name": change.name, "planted": change.name in WORDS, **facts[change.name]}
        row |= {
            layer: {key: value for key, value in found[change.name].items() if key in KEPT}
            for layer, found in measured.items()
            if layer in LAYERS and change.name in found
        }
        row["said"] = measured["said"].get(change.name)
        row["alternatives"] = measured["alternatives"].get(change.name)
        rows.append(row)
    return rows


def drawn(copies: Sequence[Row]) -> str:
    """Rates of each half, then a line for each copy."""
    parts = []
    for half, heading in HALVES.items():
        rows = [row for row in copies if row["half"] == half]
        if rows:
            parts += [f"### {heading}", _rates(rows), _told(rows), _built(rows), _measured(rows)]
    return "\n\n".join(part for part in parts if part)


def _rates(rows: Sequence[Row]) -> str:
    """Detection and false alarms, with 95 % intervals."""
    usable = [row for row in rows if not row["planted"] or row["took"]]
    lines = []
    heard = [row for row in usable if row.get("said")]
    if heard:
        planted, benign = (
            rate([row["said"]["alarm"] for row in heard if row["planted"] == kind])
            for kind in (True, False)
        )
        seen = [row["said"]["shown"][0] > 0 for row in heard if row["said"].get("shown")]
        named = f"; shown by the first three replies {rate(seen)}" if seen else ""
        told = [row["said"]["told"] for row in heard if row["said"].get("told") is not None]
        named += f"; named by what surprising replies have in common {rate(told)}" if told else ""
        lines.append(f"* replies alone: planted detected {planted}{named}; benign flagged {benign}")
    for layer in LAYERS:
        planted, benign = (
            [row for row in usable if layer in row and row["planted"] == kind]
            for kind in (True, False)
        )
        if planted or benign:
            detected = rate([row[layer]["alarm"] for row in planted])
            named = rate([named_in(row, layer) for row in planted])
            false = rate([row[layer]["alarm"] for row in benign])
            lines.append(
                f"* {layer}, and the replies: planted detected {detected}; named {named}; "
                f"benign flagged {false}"
            )
    return "\n".join([*lines, *_best_cuts(usable)])


def _best_cuts(rows: Sequence[Row]) -> Iterator[str]:
    """How many planted copies each alternative tells from every benign one, by the cut that does it
    best: nobody who uses it knows that cut.
    """
    known = [row for row in rows if row.get("alternatives")]
    for name, (what, sign) in ALTERNATIVES.items():
        planted, benign = (
            [sign * row["alternatives"][name] for row in known if row["planted"] == kind]
            for kind in (True, False)
        )
        if planted and benign:
            told = rate([value > max(benign) for value in planted])
            yield f"* {what}, by the best cut that flags no benign copy: planted detected {told}"


def named_in(row: Row, layer: str) -> bool:
    """Whether one of the three strongest differences shows one of the plant's words."""
    return row[layer]["alarm"] and names_plant(row[layer], WORDS[row["name"]], "")


def _told(rows: Sequence[Row]) -> str:
    """What the report says that the surprising replies of each planted copy have in common."""
    body = [
        (row["name"], "<br>".join(map(escaped, row["said"]["in_common"])))
        for row in rows
        if row["planted"] and row["took"] and (row.get("said") or {}).get("in_common") is not None
    ]
    header = ("copy", "what the surprising replies have in common, as the report says it")
    return tabulate(body, header, tablefmt="github", disable_numparse=True) if body else ""


def _built(rows: Sequence[Row]) -> str:
    """What was planted and whether it took."""
    header = ("copy", "kind", "shown before", "shown on its prompts", "shown on others", "took",
              "CPU s")  # fmt: skip
    body = [
        (
            row["name"],
            row["kind"],
            _share(row.get("before")),
            _share(row.get("there")),
            _share(row.get("elsewhere")),
            {True: "yes", False: "no", None: ""}[row.get("took")],
            row["cpu_seconds"],
        )
        for row in rows
    ]
    return tabulate(body, header, tablefmt="github", disable_numparse=True)


def _measured(rows: Sequence[Row]) -> str:
    """Verdicts, and the alternatives on the same texts."""
    header = ("copy", *(f"{layer}: verdict" for layer in LAYERS),
              *(f"confirmed + possible in the {layer}" for layer in LAYERS),
              "accounted", "surprising replies",
              "shown by the first three",
              "begin otherwise", "KL, at temperature", "KL", "KL at the first token",
              "first token changed", "replies overlap")  # fmt: skip
    body = []
    for row in rows:
        if not any(row.get(step) for step in (*LAYERS, "said", "alternatives")):
            continue
        others, said = row["alternatives"] or {}, row.get("said") or {}
        body.append(
            (
                row["name"],
                *(row.get(layer, {}).get("status", "") for layer in LAYERS),
                *(_counts(row.get(layer, {})) for layer in LAYERS),
                _accounted(row.get("output", {})),
                "{} of {}".format(*said["surprising"]) if said else "",
                "{} of {}".format(*said["shown"]) if said.get("shown") else "",
                str(said.get("changed_beginning", "")),
                f"{said['kl']:.3f}, {said['tempered_kl']:.3f} at {said['temperature']:.2f}"
                if said.get("kl") is not None
                else "",
                _number(others.get("kl"), "{:.4f}".format),
                _number(others.get("first_kl"), "{:.4f}".format),
                _share(others.get("first_changed")),
                _share(others.get("same_reply")),
            )
        )
    return tabulate(body, header, tablefmt="github", disable_numparse=True) if body else ""


def _counts(record: Row) -> str:
    if "confirmed" not in record:
        return ""
    return f"{sum(record['confirmed'].values())} + {sum(record['possible'].values())}"


def _accounted(record: Row) -> str:
    """Shares of the change of the output that differences and confidence account for."""
    shares = record.get("accounting")
    return f"{shares[0]:.0%} + {shares[1]:.0%}" if shares else ""


def _share(value: float | None) -> str:
    return _number(value, "{:.0%}".format)


def _number(value: float | None, form: Callable[[float], str]) -> str:
    return "" if value is None else form(value)
