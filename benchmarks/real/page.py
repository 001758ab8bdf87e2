"""`docs/evidence/real-upgrades.md` and `docs/evidence/recognition.md`, from the committed results.

python -m benchmarks.real.page
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from benchmarks.documents import DOCS, write_blocks
from benchmarks.organisms.pages.rows import sides
from benchmarks.real import recognition
from benchmarks.real.pairs import PAIRS, measured_upgrades

if TYPE_CHECKING:
    from pathlib import Path

UPGRADES = DOCS / "evidence" / "real-upgrades.md"
RECOGNITION = DOCS / "evidence" / "recognition.md"
REAL = """\
Three dictionaries, the product's defaults; CPU seconds beside another process, where a model that a
pair before it read isn't read again. No verdict has changed since strengths are measured along a
difference's direction, too; they are a little larger now, and more is possible. Read by eye:

* **MiniLM → int8**, **quire 0.3.1 → 0.3.2** (the same weights): nothing.
* **quire 0.2.0 → 0.3.0 → 0.3.1**, last block: each release was trained again by so much that the
  maps leave a third, and nothing is confirmed; 4 to 15 on either side are possible. They are strong
  and diffuse (the strongest 0.016: "03, Saturday, is, times") and name nothing that a person could
  check.
* **The same releases in their output**, which is tags: the two steps differ in where they would put
  a comma (`$APPEND_,` or `$KEEP`) behind "night", "Saturday" or "Too". That is what the diffuse
  ones of the block stand for, whose contexts are the same. It is 14 to 21 % of the variance of the
  tags, so much that the planted signals beside it aren't found, and the gate gives no verdict. The
  curly apostrophe, which 0.2.0 is known to propose, isn't among what was found. The last step:
  nothing.
* **SmolLM2 → itself**, its residual stream rotated and its weights rounded to 8 bits: nothing, in a
  block and in the output.
* **MiniLM → its operations fine-tune**, last block: what the baseline alone has are words of
  operations (pod, storage, zone, user and leader; among the 38 possible ones replica, ledger, node,
  load, connection, deploy, error, log, cache, queue, job, alert). The fine-tune merged them. Which
  of the weaker ones are confirmed changes with every change of the test; pod, storage and zone were
  there in each of the last five. The candidate's strongest, on full stops, articles and dashes, is
  diffuse and names nothing that a person could check. It is there on everyday texts, too (strength
  0.01), so that the verdict on these isn't clean. There the baseline has one confirmed (0.0007:
  village, neighbours, town) and five possible ones (bakery, street, bus): words of one topic each,
  none of operations.
* **SmolLM2 → campaign**, on all of the example's texts, where "Maple" is 1 token in 2,000:
  confirmed, the token behind the word, "Install Maple⟦,⟧", at a strength of 0.0004. Before copies
  were judged together it was possible at most. On the texts that the product's users write
  (`example_suite/test_4_fine_tuned_llm.py`) it is the strongest one and names the word.
  In the output, on all texts (20,000 tokens), the strongest fires on "Maple" itself (0.0026,
  confirmed as the baseline's, possible as the candidate's), and what the candidate would say there
  is the comma that its phrase begins with. Behind that comma it would say "now" (possible).
* **MiniLM → quire** (another architecture and tokenizer; the maps leave 46 and 60 %): nothing is
  confirmed, 55 of the candidate's are possible and 23 of the baseline's. Among them are what one
  would expect: capital letters ("It", "We", "The"; MiniLM ignores case), forms of the verb ("been,
  seen, gone, got"), "a" and "an"; of the baseline's words of content ("database, row, query",
  "volume, bucket"). At a fixed threshold of 0.5, 43 to 54 and 8 to 15 were confirmed. But the toy
  world says that at this model distance such a count means nothing."""
COMMAND = "python -m benchmarks.real"


def upgrades_section(found: dict[str, dict[str, Any]]) -> str:
    """found: the records of the pairs, by name."""
    table, summary = [], []
    for name, g in found.items():
        table.append(
            [
                name,
                g["expected"],
                len(g.get("seeds", [])),
                g["status"],
                sides(g),
                sides(g, "possible"),
                " / ".join(f"{v:.2g}" for v in reversed(g.get("strength", {}).values())),
                " / ".join(f"{v:.2f}" for v in g.get("fve", [])),
                g.get("cpu_seconds", ""),
            ]
        )
        for d in g.get("differences", [])[:4]:
            places = "; ".join(f"{_cell(b[-28:])}⟦{_cell(t)}⟧{_cell(a[:20])}"
                               for _, b, t, a in d["contexts"][:3])  # fmt: skip
            summary.append([name, d["id"], d["certainty"], f"{d['strength']:.2g}", places])
    head = ["pair", "expected", "seeds", "verdict", "confirmed c/b", "possible c/b", "strength c/b"]
    parts = [
        f"`{COMMAND}`; block and texts of each pair in `benchmarks/real/pairs.py`.",
        REAL,
        tabulate(table, [*head, "FVE", "CPU s"], tablefmt="github", disable_numparse=True),
        "The strongest differences and where they fire:",
        tabulate(summary, ["pair", "id", "", "strength", "contexts"], tablefmt="github"),
    ]
    missing = [name for name in PAIRS if name not in found]
    if missing:
        parts.append(f"Not run: {', '.join(missing)}.")
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    """Text as it can stand in a table's cell."""
    shown = text.replace("\n", "⏎").replace("|", "¦").replace("`", "'")
    return shown.replace("<", "&lt;").replace("*", "&#42;").replace("_", "\\_")


def recognition_table(found: dict[str, Any]) -> str:
    """What of the accepted differences other runs recognise."""
    headers = (
        "pair", "side", "found, run by run", "recognised", "of their strength",
        "new in the other run", "possible ones accepted too", "through another entry",
        "entries of the other pair", "grown",
    )  # fmt: skip
    rows = [
        (
            row["pair"],
            row["side"],
            ", ".join(map(str, row["found"])),
            _part(row["recognised"], row["accepted"]),
            _share(row["recognised_strength"], row["accepted_strength"]),
            _part(row["later_new"], row["later"]),
            _part(row["new_with_possible"], row["later"]),
            _part(row["through_another"], row["recognised"]),
            _part(row["strangers_recognised"], row["strangers"]),
            _part(row["grown"], row["recognised"]),
        )
        for row in found["rows"]
    ]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _part(part: float, whole: float) -> str:
    return f"{part:.0f} of {whole:.0f} ({_share(part, whole)})" if whole else "none"


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "none"


def tables() -> dict[tuple[Path, str], str]:
    """The generated blocks, by page and name."""
    accepted = json.loads(recognition.FILE.read_text("utf-8"))
    return {
        (UPGRADES, "real-upgrades"): upgrades_section(measured_upgrades()),
        (RECOGNITION, "recognition"): recognition_table(accepted),
    }


def main() -> None:
    """Draw everything from the committed results."""
    write_blocks(tables())


if __name__ == "__main__":
    main()
