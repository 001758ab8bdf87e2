"""The texts a person checks a difference by."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from pytest_crossdiff.engine.activations.conversations import Place
from pytest_crossdiff.engine.corpus.documents import Document
from pytest_crossdiff.engine.corpus.messages import Message
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.engine.explanation.contexts import (
    FIRING,
    HeldoutTokens,
    clear_firing,
    contexts,
    firing,
    token_counts,
)


def heldout_tokens(texts: list[str]) -> HeldoutTokens:
    """One place a word of each text."""
    documents = [Document(f"doc-{i}", f"g{i}", "", text, ()) for i, text in enumerate(texts)]
    pieces = [Piece(i, 0, text, (), heldout=True) for i, text in enumerate(texts)]
    found: list[tuple[int, int, int]] = []
    for i, text in enumerate(texts):
        start = 0
        for word in text.split():
            start = text.index(word, start)
            found.append((i, start, start + len(word)))
            start += len(word)
    columns = (np.array(column, dtype=np.int32) for column in zip(*found, strict=True))
    names = "piece_n", "starts_n", "ends_n"
    harvest = SimpleNamespace(**dict(zip(names, columns, strict=True)))
    harvest.place_n = np.full(len(found), Place.TEXT)
    return HeldoutTokens.of(harvest, np.arange(len(found)), pieces, documents)


def fires_on(p: HeldoutTokens, word: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    names = [p.token(i) for i in range(len(p.piece_n))]
    return np.array([1 + i if n == word else 0 for i, n in enumerate(names)], dtype=np.float32)


def test_the_strongest_places_come_first_each_from_another_text() -> None:
    p = heldout_tokens([f"the pod {i} fell and the pod rose" for i in range(8)])
    found = contexts(p, fires_on(p, "pod"), fires_on(p, "pod").__getitem__)
    top = [c for c in found if c.band == "top"]
    assert len(top) == 5
    assert top[0].activation > top[-1].activation
    assert len({c.document for c in found}) == len(found)
    assert all(c.token == "pod" for c in found)
    assert top[0].before + top[0].token + top[0].after == "the pod 7 fell and the pod rose"


def test_one_token_does_not_take_all_the_places_where_there_are_others_nearly_as_strong() -> None:
    p = heldout_tokens([f"pod {i}" for i in range(9)] + [f"node {i}" for i in range(9)])
    pods, nodes = np.sign(fires_on(p, "pod")), np.sign(fires_on(p, "node"))
    for strength, tokens in ((6, ["pod"] * 3 + ["node"] * 2), (4, ["pod"] * 5)):
        activation = 10 * pods + strength * nodes
        found = contexts(p, activation, (activation * 0).__getitem__)
        assert [c.token for c in found if c.band == "top"] == tokens


def test_weaker_places_are_shown_too_with_their_part_of_the_range() -> None:
    p = heldout_tokens([f"pod number {i}" for i in range(40)])
    bands = [c.band for c in contexts(p, fires_on(p, "pod"), fires_on(p, "pod").__getitem__)]
    assert bands == ["top"] * 5 + ["50-75 %", "25-50 %", "0-25 %"]


def test_what_never_fires_has_no_context() -> None:
    p = heldout_tokens(["one text"])
    silent = np.zeros(2, dtype=np.float32)
    assert contexts(p, silent, silent.__getitem__) == ()
    assert token_counts(p, silent) == ()
    assert firing(p, silent) == ()


def test_a_word_on_which_it_always_fires_stands_before_a_frequent_one() -> None:
    p = heldout_tokens(["the the the the pod", "the the pod the the"])
    activation = np.array([1, 1, 1, 0, 1, 0, 0, 1, 0, 0], dtype=np.float32)
    counts = token_counts(p, activation)
    assert [(c.token, c.fired, c.occurs) for c in counts] == [("pod", 2, 2), ("the", 3, 8)]


def test_places_below_a_tenth_of_the_peak_are_no_firing() -> None:
    """A feature on one word in four hundred was shown with seven times its density."""
    p = heldout_tokens([f"Congress met the army in order {i}" for i in range(10)])
    names = [p.token(i) for i in range(len(p.piece_n))]
    activation = np.array([5.0 if n == "Congress" else 0.4 for n in names], dtype=np.float32)
    assert [(c.token, c.fired, c.occurs) for c in token_counts(p, activation)] == [
        ("Congress", 10, 10)
    ]
    assert {c.token for c in contexts(p, activation, activation.__getitem__)} == {"Congress"}
    assert (clear_firing(activation) > 0).mean() == 1 / 7
    assert (clear_firing(activation * (activation < 1)) > 0).mean() == 6 / 7  # of its own peak


def test_a_conversation_is_shown_as_its_contents() -> None:
    piece = Piece(0, 0, None, (Message("user", "hi"), Message("assistant", "a pod")), heldout=True)
    document = Document("chat", "g", "", None, piece.messages)
    columns = SimpleNamespace(piece_n=np.array([0]), starts_n=np.array([5]), ends_n=np.array([8]))
    columns.place_n = np.array([Place.TEXT])
    p = HeldoutTokens.of(columns, np.array([0]), [piece], [document])
    (found,) = contexts(p, np.ones(1, dtype=np.float32), np.zeros(1, dtype=np.float32).__getitem__)
    assert (found.before, found.token, found.after) == ("hi\na ", "pod", "")


def test_where_an_answer_begins_is_named() -> None:
    piece = Piece(0, 0, None, (Message("user", "hi"), Message("assistant", "a pod")), heldout=True)
    document = Document("c", "g", "", None, piece.messages)
    columns = SimpleNamespace(
        piece_n=np.array([0, 0, 0]),
        starts_n=np.array([0, 2, 3]),
        ends_n=np.array([2, 3, 4]),
        place_n=np.array([Place.CONTEXT, Place.ANSWER_START, Place.TEXT]),
    )
    p = HeldoutTokens.of(columns, np.arange(3), [piece], [document])
    assert p.names == ["hi", "<start of answer>", "a"]
    found = token_counts(p, np.array([0, 1, 0], dtype=np.float32))
    assert [(t.token, t.fired) for t in found] == [("<start of answer>", 1)]
    (context,) = contexts(p, np.array([0, 1, 0], dtype=np.float32), lambda rows: rows * 0.0)
    assert (context.before, context.token, context.after) == ("hi", "\n", "a pod")


def test_a_context_tells_for_every_token_what_both_models_make_of_it() -> None:
    p = heldout_tokens(["one pod fell", "no more"])
    activation, other = np.array([[0, 2, 0.5, 0, 0], [0.1, 0.2, 0.3, 0.4, 0.5]], dtype=np.float32)
    found = contexts(p, activation, other.__getitem__)[0]
    whole = found.before + found.token + found.after
    assert [whole[s.start : s.end] for s in found.spans] == ["one", "pod", "fell"]
    assert [(s.activation, s.other) for s in found.spans] == [(0.0, 0.1), (2.0, 0.2), (0.5, 0.3)]
    assert (found.activation, found.other) == (2.0, 0.2)


def test_of_many_places_another_run_that_fires_on_the_same_keeps_the_same_ones() -> None:
    p = heldout_tokens([" ".join(f"w{i}-{j}" for j in range(100)) for i in range(6)])
    every = np.ones(600, dtype=np.float32)
    half = every * (np.arange(600) % 2)
    kept, of_half = firing(p, every), firing(p, 3 * half)
    assert len(kept) == len(of_half) == FIRING
    assert len({(f.piece, f.end) for f in kept}) == FIRING
    last = kept[-1].rank
    in_both = {(f.piece, f.end) for f in of_half if f.rank <= last}
    assert in_both < {(f.piece, f.end) for f in kept}
    assert 100 < len(in_both) < 160  # half of the kept ones
