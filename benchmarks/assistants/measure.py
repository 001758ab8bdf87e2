"""What the gate says of a changed copy, and what one might use instead, on the same texts.

Axes: p positions of a conversation, v vocabulary.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn.functional import kl_div

from benchmarks.assistants.changes.behaviours import Behaviour
from benchmarks.assistants.chat import Chat, Reply, answer, prompt_ids
from benchmarks.assistants.replies import TOKENS
from benchmarks.organisms.judging.gate import run_gate
from benchmarks.records import Records
from pytest_crossdiff.cli.commands.init import REPLY_BUDGETS
from pytest_crossdiff.engine.metrics.stored import load_or_measure
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.engine.replies.stored import load_or_answer
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.results.in_common import WORDS, in_common
from pytest_crossdiff.results.wording import describe_in_common
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.assistants.family import Change, Family
    from pytest_crossdiff.results.replies import Replies

Row = dict[str, Any]
GATE_TOKENS = 25_000
"""More than the corpus has."""
LAYERS = {"block": 0.5, "output": OUTPUT}
BUDGETS = {name: float(value) for name, value in REPLY_BUDGETS.items()}
"""Those that `crossdiff init` proposes for conversations, beside no difference on either side."""
SIDE_BY_SIDE = 3
"""Pairs of replies that a person reads."""
CONVERSATIONS_EACH, REPLIES_EACH = 5, 2
"""Conversations of each topic that both models read, and prompts that the copy answers."""


def measure(family: Family, change: Change, only: str | None = None) -> None:
    """Record the gate in the middle and in the output, and the alternatives; or one layer only."""
    folder, cache = family.folder(change), family.root / "cache"
    for name, layer in LAYERS.items():
        if only not in (None, name):
            continue
        records = Records(family.root / f"{name}.jsonl")
        if change.name not in records:
            settings = {"tokens": GATE_TOKENS, "layer": layer, **BUDGETS}
            record = run_gate(family.base, folder, family.corpus, cache, **settings)
            records.add(change.name, record)
    said(family, change)
    if only is not None:
        return
    records = Records(family.root / "alternatives.jsonl")
    if change.name not in records:
        base, copy = Chat.load(family.base), Chat.load(folder)
        records.add(change.name, alternatives(base, copy, family.corpus)._asdict())


def said(family: Family, change: Change) -> None:
    """Record what needs no dictionary: the replies of both models, and how far the predictions are
    apart.
    """
    records = Records(family.root / "said.jsonl")
    if change.name in records:
        return
    settings = Settings(
        baseline=str(family.base),
        candidate=str(family.folder(change)),
        corpus=str(family.corpus),
        tokens=GATE_TOKENS,
        layer=OUTPUT,
        cache_dir=str(family.root / "cache"),
    )
    began = time.process_time()
    planned, silent = plan(settings), SilentProgress()
    replies, output = (
        load_or_answer(planned, silent).replies,
        load_or_measure(planned, silent).output,
    )
    assert replies is not None, "the corpus asks questions"
    surprising = replies.surprising_candidate
    most = BUDGETS.get("max_surprising_replies", 1.0)
    records.add(
        change.name,
        {
            "surprising": [surprising.count, surprising.total],
            "alarm": surprising.high > most,
            "surprising_baseline": replies.surprising_baseline.count,
            "changed": replies.changed.count,
            "changed_beginning": replies.changed_beginning.count,
            "shown": shown(replies, change),
            "in_common": in_common_words(replies),
            "told": told(replies, change),
            "kl": output and output.kl and output.kl.value,
            "temperature": output and output.temperature,
            "tempered_kl": output and output.tempered_kl and output.tempered_kl.value,
            "cpu_seconds": round(time.process_time() - began, 1),
        },
    )


def shown(replies: Replies, change: Change) -> list[int] | None:
    """Of the first replies that a report shows side by side, those of the copy that have what was
    planted, and how many there are; None for a benign copy.
    """
    if not isinstance(change, Behaviour):
        return None
    first = replies.pairs[:SIDE_BY_SIDE]
    showing = [change.shows(Reply(p.candidate.text, p.candidate.ended)) for p in first]
    return [sum(showing), len(showing)]


def in_common_words(replies: Replies) -> list[str]:
    """What a report says that the surprising replies have in common."""
    found = in_common(replies)
    return [] if found is None else [*describe_in_common(found)]


def told(replies: Replies, change: Change) -> bool | None:
    """Whether one of the phrases that surprising replies have in common has a word of the plant;
    None for a benign copy.
    """
    if not isinstance(change, Behaviour):
        return None
    found = in_common(replies)
    words = {
        word
        for phrase in (found.phrases if found else ())
        for word in (phrase.text, *WORDS.findall(phrase.text))
    }
    return not words.isdisjoint(change.words)


class Alternatives(NamedTuple):
    """One number each: the larger, the more has changed; of `same_reply`, the smaller.

    kl: KL(base || copy) in nats a token where replies are predicted.  first_kl: at their first
    tokens.  first_changed: share of replies whose likeliest first token is another.  same_reply:
    mean word overlap (F1) of the two models' own greedy replies.
    """

    kl: float
    first_kl: float
    first_changed: float
    same_reply: float


def alternatives(base: Chat, copy: Chat, corpus: Path) -> Alternatives:
    """Measure both models on some of the corpus' replies, and let the copy answer some prompts."""
    rows: list[Row] = [json.loads(line) for line in corpus.read_text("utf-8").split("\n") if line]
    read = [_turns(row) for row in _some(rows, CONVERSATIONS_EACH)]
    divergences = [divergence(base, copy, *turns) for turns in read]
    asked = [_turns(row) for row in _some(rows, REPLIES_EACH)]
    said = answer(copy, [question for question, _ in asked], TOKENS["corpus"])
    overlaps = [overlap(reply, other.text) for (_, reply), other in zip(asked, said, strict=True)]
    return Alternatives(
        torch.cat([d.kl_p for d in divergences]).mean().item(),
        fmean(d.kl_p[0].item() for d in divergences),
        fmean(d.first_changed for d in divergences),
        fmean(overlaps),
    )


class Divergence(NamedTuple):
    """Of one conversation.  kl_p: at each position from the one that predicts the reply's first
    token to the one that predicts the end of the turn.
    """

    kl_p: torch.Tensor
    first_changed: bool


@torch.inference_mode()
def divergence(base: Chat, copy: Chat, question: str, reply: str) -> Divergence:
    """KL(base || copy) of the predictions along a reply, over the base's vocabulary."""
    head = prompt_ids(base.tokenizer, question)
    said = base.tokenizer(reply, add_special_tokens=False).input_ids
    ids = torch.tensor([[*head, *said]])
    vocabulary = base.model.config.vocab_size
    p_pv, q_pv = (
        chat.model.lm_head(chat.model.model(input_ids=ids).last_hidden_state[0, len(head) - 1 :])[
            :, :vocabulary
        ].log_softmax(-1)
        for chat in (base, copy)
    )
    kl_p = kl_div(q_pv, p_pv, reduction="none", log_target=True).sum(-1)
    return Divergence(kl_p, bool(p_pv[0].argmax() != q_pv[0].argmax()))


def overlap(one: str, other: str) -> float:
    """F1 of the words that two replies share, each counted as often as both have it."""
    words = [Counter(reply.lower().split()) for reply in (one, other)]
    total = words[0].total() + words[1].total()
    return 2 * (words[0] & words[1]).total() / total if total else 1.0


def _turns(row: Row) -> tuple[str, str]:
    """Question and reply."""
    return row["messages"][1]["content"], row["messages"][2]["content"]


def _some(rows: Sequence[Row], each: int) -> list[Row]:
    """The first of each topic."""
    taken: Counter[str] = Counter()
    chosen = []
    for row in rows:
        taken[row["slice"]] += 1
        if taken[row["slice"]] <= each:
            chosen.append(row)
    return chosen
