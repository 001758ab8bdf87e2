"""What a result says of the two models' tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.activations.shard_reading import MAX_PIECE_TOKENS
from pytest_crossdiff.engine.activations.tokenizer_comparison import compare_on
from pytest_crossdiff.engine.models.loading.load import load_tokenizer
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.results.tokenizers import TokenComparison


def token_facts(plan: Plan, pairs: Pairs) -> TokenComparison:
    """How far both models read and write the same tokens.  Raises `ModelError`."""
    settings = plan.settings
    baseline, candidate = (
        load_tokenizer(
            plan.references[side],
            trust_remote_code=settings.trust_remote_code,
            source=settings.sources.get(side, f"crossdiff_{side}"),
        )
        for side in SIDES
    )
    found = compare_on(
        plan.sample.pieces,
        (baseline, candidate),
        chat_template=settings.chat_template,
        limit=MAX_PIECE_TOKENS,
        forms=(pairs.a.harvest.form, pairs.b.harvest.form),
    )
    said = pairs.vocabularies
    if said is None:
        return found
    of_a, of_b = (
        replace(facts, shared=shared, only=tuple(word for word, _ in only))
        for facts, shared, only in zip(
            (found.baseline, found.candidate), said.shared, said.only, strict=True
        )
    )
    return replace(found, baseline=of_a, candidate=of_b, word_by_word=said.same)
