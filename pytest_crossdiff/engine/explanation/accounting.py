"""What both models say where a difference fires, and how much of the output's change that is.

Axes: n held-out pairs, m positions at which the two predictions were compared.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from safetensors.numpy import load_file

from pytest_crossdiff.engine.explanation.contexts import clear_firing
from pytest_crossdiff.engine.metrics.entry_names import POSITIONS, WORDS
from pytest_crossdiff.engine.metrics.positions import Token, changed_position, strongest
from pytest_crossdiff.results.accounting import Accounting, UnexplainedSlice
from pytest_crossdiff.results.difference import Said
from pytest_crossdiff.results.replies import Share
from pytest_crossdiff.store.cache import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations.pairs import SideActivations
    from pytest_crossdiff.engine.corpus.documents import Document
    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.explanation.contexts import HeldoutTokens
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.output import ChangedPosition

_PIECE = 2**32
LEAST = 0.05
"""A word that neither model gives this probability is not what they say."""


class Positions(NamedTuple):
    """The compared predictions, in the order of the text: keys_m orders by piece and by the
    character at which the predicted token ends.

    starts_m: the character at which it begins.  tempered_m: the KL that is left at the candidate's
    best temperature.  top_a, top_b: the most likely token of either model, by its text; p_a, p_b:
    its probability.
    """

    keys_m: NDArray[np.int64]
    starts_m: NDArray[np.int64]
    kl_m: NDArray[np.float64]
    tempered_m: NDArray[np.float64]
    top_a: NDArray[np.str_]
    top_b: NDArray[np.str_]
    p_a: NDArray[np.float64]
    p_b: NDArray[np.float64]

    @classmethod
    def stored(cls, plan: Plan) -> Positions | None:
        """Those of the plan's metrics; None where none were compared token by token."""
        entry = plan.store.entry("metrics", plan.metrics_key)
        try:
            manifest = entry.read_manifest()
            if manifest is None or POSITIONS not in manifest.files:
                return None
            columns = load_file(entry.verified_path(POSITIONS))
            if "tempered_kl" not in columns:
                return None
            words = {
                side: np.array(json.loads(plan.store.entry("states", key).read_bytes(WORDS)))
                for side, key in plan.state_keys.items()
            }
        except DamagedEntry:
            return None
        keys_m = columns["piece"].astype(np.int64) * _PIECE + columns["end"]
        order_m = np.argsort(keys_m, kind="stable")
        return cls(
            keys_m[order_m],
            columns["start"][order_m].astype(np.int64),
            columns["kl"][order_m],
            columns["tempered_kl"][order_m],
            words["baseline"][columns["top_baseline"][order_m]],
            words["candidate"][columns["top_candidate"][order_m]],
            columns["p_top_baseline"][order_m],
            columns["p_top_candidate"][order_m],
        )

    def behind(self, of: SideActivations, rows_n: NDArray[np.integer]) -> NDArray[np.int64]:
        """The position that each pair predicts, or -1: that of the next token of its piece."""
        piece_n = of.harvest.piece_n[rows_n].astype(np.int64)
        keys_n = piece_n * _PIECE + of.harvest.ends_n[rows_n]
        at_n = np.searchsorted(self.keys_m, keys_n, side="right")
        inside_n = at_n < len(self.keys_m)
        found_n = np.where(inside_n, at_n, 0)
        inside_n &= self.keys_m[found_n] // _PIECE == piece_n
        return np.where(inside_n, found_n, -1)


def account(
    differences: Sequence[Difference],
    activations: Sequence[NDArray[np.float32]],
    of: SideActivations,
    rows_n: NDArray[np.integer],
    heldout_tokens: HeldoutTokens,
    positions: Positions,
    group_m: NDArray[np.int64],
) -> tuple[list[Difference], NDArray[np.bool_]]:
    """The differences of one side with what both models say where they fire, and at which of the
    positions any confirmed one does.

    group_m: the conversation that each position's answer is of, -1 in running text.
    """
    behind_n = positions.behind(of, rows_n)
    covered_m = np.zeros(len(positions.keys_m), dtype=bool)
    total = float(positions.kl_m.sum())
    answers = len(np.unique(group_m[group_m >= 0]))
    otherwise_m = (positions.top_a != positions.top_b) & (group_m >= 0)
    found = []
    for difference, activation_n in zip(differences, activations, strict=True):
        fires_n = np.flatnonzero((clear_firing(activation_n) > 0) & (behind_n >= 0))
        at_m = np.unique(behind_n[fires_n])
        if difference.confirmed:
            covered_m[at_m] = True
        share = float(positions.kl_m[at_m].sum()) / total if total > 0 else 0.0
        said = _said(fires_n, behind_n, heldout_tokens, positions)
        changed = Share(len(np.unique(group_m[at_m[otherwise_m[at_m]]])), answers)
        found.append(
            dataclasses.replace(
                difference,
                kl_share=share,
                said=said,
                changed_replies=changed if answers else None,
            )
        )
    return found, covered_m


def conversations(
    positions: Positions, pieces: Sequence[Piece], groups: Sequence[int]
) -> NDArray[np.int64]:
    """The group of documents that each position's conversation is of, -1 where nobody answers."""
    answered = (any(message.answers for message in piece.messages) for piece in pieces)
    of_piece = np.array(
        [group if has else -1 for group, has in zip(groups, answered, strict=True)], dtype=np.int64
    )
    found: NDArray[np.int64] = of_piece[positions.keys_m // _PIECE]
    return found


def accounting(
    positions: Positions,
    covered_m: NDArray[np.bool_],
    pieces: Sequence[Piece],
    documents: Sequence[Document],
) -> Accounting | None:
    """What confirmed differences, which fire at `covered_m`, and the candidate's confidence account
    for, and where the rest lies; None where nothing has changed.
    """
    total = float(positions.kl_m.sum())
    if not total > 0:
        return None
    at_differences = float(positions.kl_m[covered_m].sum()) / total
    rest_m = np.where(covered_m, 0.0, positions.tempered_m)
    rest = min(float(rest_m.sum()) / total, 1.0 - at_differences)
    piece_m = positions.keys_m // _PIECE
    document_m = np.array([pieces[i].document for i in piece_m])
    part_m = np.array([documents[i].part for i in document_m], dtype=object)
    slices = [
        UnexplainedSlice(
            name=name,
            kl=float(positions.kl_m[of].mean()),
            unexplained=float(rest_m[of].sum()) / float(positions.kl_m[of].sum()),
        )
        for name in dict.fromkeys(part_m.tolist())
        if positions.kl_m[of := part_m == name].sum() > 0
    ]
    group_m = [documents[i].group for i in document_m]
    return Accounting(
        differences=at_differences,
        confidence=1.0 - at_differences - rest,
        unexplained=rest,
        positions=tuple(
            _shown(positions, m, float(rest_m[m]), pieces, documents)
            for m in strongest(rest_m, group_m)
        ),
        slices=tuple(sorted(slices, key=lambda s: -s.unexplained)) if len(slices) > 1 else (),
    )


def _shown(
    positions: Positions,
    m: int,
    kl: float,
    pieces: Sequence[Piece],
    documents: Sequence[Document],
) -> ChangedPosition:
    piece, end = divmod(int(positions.keys_m[m]), _PIECE)
    at = Token(piece, int(positions.starts_m[m]), end)
    top_a = str(positions.top_a[m]), float(positions.p_a[m])
    top_b = str(positions.top_b[m]), float(positions.p_b[m])
    return changed_position(at, kl, top_a, top_b, pieces, documents)


def _said(
    fires_n: NDArray[np.int64],
    behind_n: NDArray[np.int64],
    heldout_tokens: HeldoutTokens,
    positions: Positions,
) -> Said | None:
    """Of the pairs of words that the models say there the one with the largest share of the KL."""
    weight: Counter[tuple[str, str]] = Counter()
    for n in fires_n:
        m = behind_n[n]
        words = str(positions.top_a[m]), str(positions.top_b[m])
        if words[0] != words[1]:
            weight[words] += float(positions.kl_m[m])  # type: ignore[assignment]
    if not weight:
        return None
    (baseline, candidate), _ = weight.most_common(1)[0]
    chosen_n = [
        n
        for n in fires_n
        if (positions.top_a[behind_n[n]], positions.top_b[behind_n[n]]) == (baseline, candidate)
    ]
    at_m = behind_n[chosen_n]
    p_a, p_b = float(positions.p_a[at_m].mean()), float(positions.p_b[at_m].mean())
    if max(p_a, p_b) < LEAST:
        return None
    (after, _), *_ = Counter(heldout_tokens.names[n] for n in chosen_n).most_common(1)
    return Said(
        after=after,
        baseline=baseline,
        baseline_probability=p_a,
        candidate=candidate,
        candidate_probability=p_b,
        positions=len(at_m),
        firing=len(fires_n),
    )
