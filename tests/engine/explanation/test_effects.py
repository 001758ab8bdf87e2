"""What taking a direction away does to a model, against the same computed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch

from pytest_crossdiff.engine.activations.harvest import Harvest, harvest
from pytest_crossdiff.engine.activations.pairs import Scale, SideActivations
from pytest_crossdiff.engine.activations.shard_reading import Reading
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.engine.explanation import effects
from pytest_crossdiff.engine.explanation.effects import (
    DifferenceFeatures,
    MeasuredEffect,
    choose,
    measure,
)
from pytest_crossdiff.engine.explanation.steering import GENERATED_TOKENS
from pytest_crossdiff.engine.models.loaded import LoadedModel, load, vectors
from pytest_crossdiff.errors import ActivationError
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.store.cache import Store
from support import tiny_models

if TYPE_CHECKING:
    from pathlib import Path

FACTOR = 0.25
LETTERS = "abdefghijkl"
TAGS = ("keep", "cut", "swap")


class World(NamedTuple):
    """A model, the vectors harvested from it, and the texts."""

    loaded: LoadedModel
    side: SideActivations
    texts: list[str]

    @property
    def letters(self) -> np.ndarray[Any, Any]:
        """The letter that each row of the harvest stands for."""
        h = self.side.harvest
        places = zip(np.asarray(h.piece_n), np.asarray(h.starts_n), strict=True)
        return np.array([self.texts[piece][start] for piece, start in places])

    def measure(self, *difference_features: DifferenceFeatures) -> list[MeasuredEffect]:
        return measure(
            self.loaded,
            self.side,
            np.arange(len(self.side.rows_n)),
            [Piece(i, 0, text, (), heldout=True) for i, text in enumerate(self.texts)],
            difference_features,
            chat_template="own",
            label="candidate",
            progress=SilentProgress(),
        )

    def on_c(self, *, scale: float = 1.0, seed: int = 0) -> DifferenceFeatures:
        """Two features with directions at random, that fire on the letter c, now more, now less."""
        g = torch.Generator().manual_seed(seed)
        strength = np.where(self.letters == "c", 1.0 + np.arange(len(self.letters)) % 3, 0.0)
        f_nq = np.stack([strength, strength > 2], axis=1).astype(np.float32)
        return DifferenceFeatures(f_nq, scale * torch.randn(2, self.loaded.width, generator=g))

    def by_hand(
        self, difference_features: DifferenceFeatures, number: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The stream of a text after the layer, and without the contribution of a difference."""
        ids = self.loaded.tokenizer(self.texts[number], return_tensors="pt").input_ids
        stream = vectors(self.loaded, ids, torch.ones_like(ids))[0]
        h = self.side.harvest
        rows = np.flatnonzero(h.piece_n == number)
        rows = rows[np.argsort(h.starts_n[rows])]
        f_kq = torch.from_numpy(difference_features.f_nq[rows])
        return stream, stream - f_kq @ difference_features.directions_qd / FACTOR


def world(
    folder: Path, family: str = "llama", layer: int = 3, *, masked: bool = False, tags: bool = False
) -> World:
    g = np.random.default_rng(3)
    texts = ["".join(g.choice(list(LETTERS), 30)) for _ in range(12)]
    texts = [text if i % 3 == 0 else text[:9] + "c" + text[9:18] + "cc" + text[20 + i % 2 :]
             for i, text in enumerate(texts)]  # fmt: skip
    model = tiny_models.make(family)
    if masked:
        config = type(model.config)(**tiny_models.FAMILIES[family][2])
        model = tiny_models.build(tiny_models.tf.AutoModelForMaskedLM, config)
    if tags:
        names = dict(enumerate(TAGS))
        config = type(model.config)(**tiny_models.FAMILIES[family][2], id2label=names)
        model = tiny_models.build(tiny_models.tf.AutoModelForTokenClassification, config)
    saved = tiny_models.save(model, folder / family)
    loaded = load(str(saved), layer=layer, device="cpu", with_head=True)
    pieces = [Piece(i, 0, text, (), heldout=True) for i, text in enumerate(texts)]
    entry = Store(folder / "cache").entry("harvest", f"{layer:064}")
    with entry.lock():
        harvest(
            Reading([loaded], pieces, "own", "x"), [entry], label="x", progress=SilentProgress()
        )
    read = Harvest(entry)
    scale = Scale(torch.full((32,), 7.0), FACTOR)  # a bias that must play no part
    side = SideActivations(read, np.arange(len(read)), scale, 0, 1.0, 0, 0, 0)
    return World(loaded, side, texts)


@pytest.fixture(scope="module")
def last(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A language model whose last block is read: behind it come a norm and the unembedding."""
    return world(tmp_path_factory.mktemp("last"))


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """No limit on what is run."""
    monkeypatch.setattr(effects, "PIECES", 100)
    monkeypatch.setattr(effects, "TOKEN_BUDGET_SHARE", 100.0)


@pytest.mark.usefixtures("everything")
def test_the_kl_is_that_of_the_logits_computed_by_hand(last: World) -> None:
    difference_features = last.on_c(scale=0.3)
    nats: list[float] = []
    fall: Any = 0
    for number, text in enumerate(last.texts):
        with_it, without = last.by_hand(difference_features, number)
        model: Any = last.loaded.model
        with torch.no_grad():
            p, q = (
                torch.softmax(model.lm_head(model.model.norm(x)).double(), -1)
                for x in (with_it, without)
            )
        kl = (p * (p / q).log()).sum(-1)
        nats += [float(kl[i]) for i, letter in enumerate(text) if letter == "c"]
        fall = fall + (with_it - without).norm(dim=1).double() @ (p - q)
    (found,) = last.measure(difference_features)
    assert found.effect is not None
    assert found.effect.measure == "kl"
    assert found.effect.firing == pytest.approx(np.mean(nats), rel=1e-4)
    assert found.effect.firing > 0.01
    assert found.effect.elsewhere == 0.0  # behind the last block no place hears of another
    assert found.effect.firing_tokens == len(nats) == 24
    order = [chr(ord("a") + i) for i in fall.argsort().tolist() if i < 26]
    assert len(found.effect.lowered) == len(found.effect.raised) == 8
    assert found.effect.lowered == tuple(order[: len(found.effect.lowered)])
    assert found.effect.raised == tuple(order[: -len(found.effect.raised) - 1 : -1])
    with_c = [text for text in last.texts if "c" in text]
    assert found.effect.elsewhere_tokens == sum(map(len, with_c)) - 24


def test_a_contribution_of_nothing_has_no_effect_at_all(last: World) -> None:
    (found,) = last.measure(last.on_c(scale=0.0))
    assert found.effect is not None
    assert (found.effect.firing, found.effect.elsewhere) == (0.0, 0.0)
    assert (found.effect.raised, found.effect.lowered) == ((), ())
    assert found.effect.steered == found.effect.plain


@pytest.mark.usefixtures("everything")
def test_before_the_last_block_the_effect_reaches_later_places_but_no_earlier_ones(
    tmp_path: Path,
) -> None:
    early = world(tmp_path, layer=1)
    difference_features = early.on_c(scale=0.3)
    (found,) = early.measure(difference_features)
    assert found.effect is not None
    assert found.effect.firing > 3 * found.effect.elsewhere > 0.0

    h = early.side.harvest
    difference_features.f_nq[:] = 0
    difference_features.f_nq[h.starts_n == 29] = (
        1.0  # the last place of each text: nothing is behind it
    )
    (found,) = early.measure(difference_features)
    assert found.effect is not None
    assert found.effect.firing > 1e-3
    assert found.effect.elsewhere == pytest.approx(0.0, abs=1e-6)  # rounding in attention


@pytest.mark.usefixtures("everything")
def test_an_encoder_without_a_head_is_measured_by_its_last_hidden_state(tmp_path: Path) -> None:
    encoder = world(tmp_path, "bert")
    difference_features = encoder.on_c()
    changes: list[float] = []
    for number, text in enumerate(encoder.texts):
        with_it, without = encoder.by_hand(
            difference_features, number
        )  # the last block's output is the output
        relative = (without - with_it).norm(dim=-1) / with_it.norm(dim=-1)
        changes += [float(relative[i]) for i, letter in enumerate(text) if letter == "c"]
    (found,) = encoder.measure(difference_features)
    assert found.effect is not None
    assert found.effect.measure == "output"
    assert found.effect.firing == pytest.approx(np.mean(changes), rel=1e-4)
    assert found.effect.elsewhere == 0.0
    assert (found.effect.prompt, found.promoted, found.suppressed) == ("", (), ())
    assert (found.effect.raised, found.effect.lowered) == ((), ())


def test_a_masked_language_model_is_measured_by_its_predictions(tmp_path: Path) -> None:
    masked = world(tmp_path, "bert", masked=True)
    assert masked.loaded.head == "masked"
    (found,) = masked.measure(masked.on_c())
    assert found.effect is not None
    assert found.effect.measure == "kl"
    assert found.effect.firing > 0.0
    assert found.effect.elsewhere == 0.0
    assert (found.effect.steered, found.promoted) == ("", ())


def test_a_tagger_is_measured_by_its_tags(tmp_path: Path) -> None:
    tagger = world(tmp_path, "bert", tags=True)
    assert tagger.loaded.head == "tags"
    (found,) = tagger.measure(tagger.on_c())
    assert found.effect is not None
    assert found.effect.measure == "kl"
    assert found.effect.firing > 0.0
    assert {*found.effect.raised, *found.effect.lowered} == {*TAGS}
    assert (found.effect.steered, found.promoted) == ("", ())


def test_a_direction_that_spells_a_letter_is_named_by_it_and_makes_the_model_write_it(
    last: World,
) -> None:
    model: Any = last.loaded.model
    d = (model.lm_head.weight / model.model.norm.weight)[ord("k") - ord("a")].detach()
    f = (last.letters == "c").astype(np.float32)[:, None]
    (found,) = last.measure(DifferenceFeatures(f, 1000 * d[None]))
    assert found.promoted[0] == "k"
    assert found.effect is not None
    assert found.effect.steered.split() == ["k"] * GENERATED_TOKENS
    assert found.effect.plain != found.effect.steered
    assert len(found.effect.prompt) == 16
    assert any(text.startswith(found.effect.prompt) for text in last.texts)


def test_promoted_and_suppressed_tokens_are_those_of_the_norms_scale_and_the_unembedding(
    last: World,
) -> None:
    model: Any = last.loaded.model
    before = model.model.norm.weight.detach().clone()
    try:
        model.model.norm.weight.data.uniform_(0.1, 3.0, generator=torch.Generator().manual_seed(4))
        difference_features = last.on_c(seed=5)
        rows = np.argsort(-(difference_features.f_nq**2).sum(1), kind="stable")
        assert (
            difference_features.f_nq[rows[0]].tolist() == difference_features.f_nq[rows[4]].tolist()
        )
        peak = (
            torch.from_numpy(difference_features.f_nq[rows[0]]) @ difference_features.directions_qd
        )
        logits = model.lm_head.weight @ (model.model.norm.weight * peak)
        order = logits.argsort(descending=True).tolist()
        order = [chr(ord("a") + i) for i in order if i < 26]
        (found,) = last.measure(difference_features)
    finally:
        model.model.norm.weight.data.copy_(before)
    assert found.promoted == tuple(order[:8])
    assert found.suppressed == tuple(order[: -len(found.suppressed) - 1 : -1])
    assert not set(found.promoted) & {"[UNK]", "[PAD]"}


def test_output_that_is_no_number_is_refused(last: World) -> None:
    with pytest.raises(ActivationError, match="NaN or infinite"):
        last.measure(last.on_c(scale=float("nan")))


def test_what_fires_nowhere_that_is_read_has_no_effect_measured(last: World) -> None:
    silent = last.on_c()
    (found, other) = last.measure(DifferenceFeatures(silent.f_nq * 0, silent.directions_qd), silent)
    assert found.effect is None
    assert other.effect is not None


# Which pieces are read


def fires(piece_n: np.ndarray[Any, Any], *pieces: int) -> np.ndarray[Any, Any]:
    return np.isin(piece_n, pieces)


def test_each_difference_gets_a_piece_before_any_gets_a_second() -> None:
    piece_n = np.repeat(np.arange(20), 100).astype(np.int32)
    often, rare = fires(piece_n, *range(10)), fires(piece_n, 15)
    plan = choose(piece_n, [often, rare], np.arange(20), budget=450.0, share=0.5)
    assert plan == {0: [0], 15: [1], 1: [0]}  # 150 tokens each


def test_a_piece_that_serves_several_is_read_for_all_of_them() -> None:
    piece_n = np.repeat(np.arange(20), 100).astype(np.int32)
    several = [fires(piece_n, 1, 7), fires(piece_n, 2, 7), fires(piece_n, 3, 7)]
    plan = choose(piece_n, several, np.arange(20), budget=250.0, share=0.5)
    assert plan == {7: [0, 1, 2]}


def test_the_first_piece_is_read_however_small_the_budget() -> None:
    piece_n = np.repeat(np.arange(2), 100).astype(np.int32)
    plan = choose(piece_n, [fires(piece_n, 1)] * 2, np.arange(2), budget=1.0, share=1.0)
    assert plan == {1: [0, 1]}


def test_no_difference_reads_more_pieces_than_it_needs() -> None:
    piece_n = np.repeat(np.arange(50), 10).astype(np.int32)
    plan = choose(piece_n, [fires(piece_n, *range(50))], np.arange(50), budget=1e9, share=1.0)
    assert len(plan) == effects.PIECES
