"""The text of `docs/evidence/organisms.md`, out of the committed results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.organisms.pages import comparison, seeds, variations, verdicts
from benchmarks.organisms.pages.prose import (
    ALTERNATIVES_INTRO,
    CAPACITY_INTRO,
    FINDINGS,
    HOW,
    OTHER_SEED_INTRO,
    SEEDS_INTRO,
    TOKENS_INTRO,
)

if TYPE_CHECKING:
    from benchmarks.organisms.pages.rows import Rows


def organisms_section(c: dict[str, Any]) -> str:
    rows: Rows = c["organisms"]
    planted = [r for r in rows if r["planted"] and r["built"]]
    failed = [r["name"] for r in planted if not r["built"]["worked"]]
    said = f"{len(planted)} plants were tried; {len(planted) - len(failed)} work"
    said += f" (not: {', '.join(failed)})." if failed else "."
    measured_with = (
        f"`{c['command']}`; {c['machine']}, {c['threads']} thread; torch {c['versions']['torch']}, "
        f"transformers {c['versions']['transformers']}; {c['tokens']:,} tokens read for each "
        f"verdict. {said}"
    )
    parts = [HOW, measured_with]
    parts += [*verdicts.outstanding(rows), verdicts.by_split(rows), verdicts.by_kind(rows)]
    if any(r["others"] for r in rows):
        parts += ["## Against what one might use instead", ALTERNATIVES_INTRO]
        parts.append(comparison.detection_table(rows))
        parts.append(
            "![ROC curves: detection rate against false positive rate](../img/organisms-roc.png)"
        )
    parts.append(FINDINGS)
    if c["architectures"]:
        parts.append("## One dictionary of each kind")
        parts.append(variations.architectures(rows, c["architectures"]))
    if c["capacity"]:
        parts += ["## Dictionaries of other sizes", CAPACITY_INTRO]
        parts.append(variations.capacity(c["capacity"]))
    parts += ["## Every organism", verdicts.every_organism(rows)]
    if c["sweep"]:
        parts += ["## How many tokens it takes", TOKENS_INTRO]
        parts.append(variations.sweep(variations.by_tokens(c)))
        parts.append(
            "![Detections and false positives against tokens read](../img/organisms-tokens.png)"
        )
    others = c["other_seeds"]
    parts += ["## Is it the same with other seeds?", SEEDS_INTRO]
    parts += [seeds.other_seeds(rows, read, found) for read, found in others.items() if found]
    parts.append(seeds.either_with_other_seeds(rows, others))
    if c["apart"]:
        parts += ["## Separately trained models", OTHER_SEED_INTRO]
        parts.append(variations.apart(c["apart"]))
    return "\n\n".join(parts)
