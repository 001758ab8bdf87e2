"""Two batches are read at once, in the bits and with the errors of one after the other."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers as tf

from pytest_crossdiff.engine.activations import shard_reading
from pytest_crossdiff.engine.corpus.documents import from_records
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.engine.model_reading import read_in_one_pass, read_models
from pytest_crossdiff.engine.models.loaded import also_at, load, read_batch
from pytest_crossdiff.engine.models.two_at_once import two_at_once
from pytest_crossdiff.engine.plan import Plan, plan
from pytest_crossdiff.errors import ActivationError
from pytest_crossdiff.progress import SilentProgress, _SilentPhase
from support import planted, tiny_models
from support.tokenizers import tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.progress import Phase

LAYERS = (0, 1, "output")
IDS = torch.arange(5, 12)[None]


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted.speaker(tmp_path_factory.mktemp("models") / "speaker")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the threads that read batches."""
    names: set[str] = set()
    read: Callable[..., Any] = shard_reading.read_layers

    def noted(*inputs: Any) -> Any:
        names.add(threading.current_thread().name)
        assert torch.get_num_threads() == 1
        return read(*inputs)

    monkeypatch.setattr(shard_reading, "read_layers", noted)
    return names


def planned(model: Path, cache: Path) -> Plan:
    settings = planted.quick(model, model, cache, layer=LAYERS, tokens=8_000)
    return plan(next(iter(settings.by_layer().values())))


def harvested(made: Plan) -> dict[str, bytes]:
    """The tensors that reading the model has made, by their file."""
    folder = made.store.entry("harvest", made.harvest_keys["baseline"]).path.parents[2]
    files = (p for kind in ("harvest", "states") for p in (folder / kind).rglob("*.safetensors"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def on_one_thread(made: Plan) -> dict[str, bytes]:
    torch.set_num_threads(1)
    read_in_one_pass(made, "baseline", SilentProgress())
    torch.set_num_threads(2)
    return harvested(made)


def test_a_harvest_of_several_layers_has_the_bits_of_one_thread(
    speaker: Path, tmp_path: Path, readers: set[str]
) -> None:
    one, two = (planned(speaker, tmp_path / name) for name in ("one", "two"))
    expected = on_one_thread(one)
    assert readers == {"MainThread"}
    readers.clear()
    read_in_one_pass(two, "baseline", SilentProgress())
    assert readers == {"crossdiff-read_0", "crossdiff-read_1"}
    assert len(expected) > len(LAYERS) + 1
    assert harvested(two) == expected


def test_what_conversations_begin_with_is_read_in_the_bits_of_one_thread(tmp_path: Path) -> None:
    settings = {**tiny_models.GROUPED, "vocab_size": 800}
    words = copy.deepcopy(tokenizer("byte-level BPE"))
    words.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    model = tiny_models.build(tf.AutoModelForCausalLM, tf.LlamaConfig(**settings))
    view = load(str(tiny_models.save(model, tmp_path, words)), dtype="float32", device="cpu")

    def said(number: int) -> list[dict[str, str]]:
        answer = " ".join(["It is", *map(str, range(number, number + 30))])
        both = ("system", "Answer in one or two short sentences."), ("assistant", answer)
        return [{"role": role, "content": content} for role, content in both]

    documents = from_records([{"messages": said(i)} for i in range(100)]).documents
    pieces = [Piece(i, 0, None, of.messages, heldout=False) for i, of in enumerate(documents)]
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        reading = shard_reading.Reading([view], pieces, "own", "it")
        found.append([*reading.read([*reading.shards], lambda _: None)])
        assert reading._prefix is not None
    assert len(found[0]) > 1
    for (one,), (two,) in zip(*found, strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_batch_that_fails_leaves_the_error_and_the_shards_of_one_thread(
    speaker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Callable[..., Any] = shard_reading.Reading._run

    def failing(self: Any, views: Any, batch: Any) -> Any:
        found = read(self, views, batch)
        if batch[0].length <= self.jobs[len(self.jobs) // 4].length:
            return found
        bad = [of._replace(vectors_bpd=of.vectors_bpd * torch.nan) for of in found.readouts]
        return found._replace(readouts=bad)

    monkeypatch.setattr(shard_reading.Reading, "_run", failing)
    errors, kept = [], []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        made = planned(speaker, tmp_path / str(threads))
        with pytest.raises(ActivationError, match="are NaN or infinite") as caught:
            read_models(made, SilentProgress())
        errors.append(str(caught.value))
        kept.append(harvested(made))
    assert errors[0] == errors[1]
    assert kept[0] == kept[1]
    assert kept[0], "shards before the batch that failed"


def test_an_interrupted_harvest_goes_on_and_ends_in_the_bits_of_one_thread(
    speaker: Path, tmp_path: Path
) -> None:
    class Interrupted(_SilentPhase):
        told = 0

        def advance(self, units: int = 1, detail: str = "") -> None:
            Interrupted.told += 1
            if Interrupted.told == 4:
                raise KeyboardInterrupt

    class Interrupting(SilentProgress):
        def phase(self, name: str, total: int, unit: str) -> Phase:
            return Interrupted()

    one, two = (planned(speaker, tmp_path / name) for name in ("one", "two"))
    expected = on_one_thread(one)
    with pytest.raises(KeyboardInterrupt):
        read_in_one_pass(two, "baseline", Interrupting())
    assert not [t for t in threading.enumerate() if t.name.startswith("crossdiff-read")]
    assert set(harvested(two)) < set(expected)
    read_models(two, SilentProgress())
    shards = {name: of for name, of in expected.items() if name.startswith("harvest")}
    assert harvested(two) == shards


@pytest.fixture
def views(speaker: Path) -> list[LoadedModel]:
    first = load(str(speaker), layer=0, dtype="float32", device="cpu")
    return [first, also_at(first, 1)]


def read_once(views: Any) -> torch.Tensor:
    return read_batch(views[0], IDS, torch.ones_like(IDS)).vectors_bpd


def test_an_interrupt_ends_the_passes_that_run_at_their_next_block(
    views: list[LoadedModel],
) -> None:
    runs, begun = [], threading.Event()

    def one(own: Any, batch: int) -> None:
        while batch and len(runs) < 1_000_000:  # nobody waits for so many
            runs.append(read_once(own))
            begun.set()

    def interrupted() -> None:
        with two_at_once(views) as read:
            next(read(one, range(2)))
            begun.wait()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert 0 < len(runs) < 1_000_000


def test_what_is_raised_is_what_the_first_batch_that_fails_raises(
    views: list[LoadedModel],
) -> None:
    later = threading.Event()

    def one(_: Any, batch: int) -> int:
        if batch == 3:
            later.wait()
            raise ValueError(batch)
        if batch == 4:
            later.set()
            raise ValueError(batch)
        return batch

    with two_at_once(views) as read:
        passes = read(one, range(9))
        assert [next(passes) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="3"):
            next(passes)


def test_both_threads_have_modules_of_their_own_and_the_same_weights(
    views: list[LoadedModel],
) -> None:
    both = threading.Barrier(2)

    def one(own: Any, _: int) -> tuple[Any, torch.Tensor]:
        both.wait()
        return own, read_once(own)

    weights = [weight.data_ptr() for weight in views[0].model.parameters()]
    with two_at_once(views) as read:
        (a, of_a), (b, of_b) = read(one, range(2))
        for own in (a, b):
            assert own[0].model is own[1].model is not views[0].model
            assert [weight.data_ptr() for weight in own[0].model.parameters()] == weights
        assert a[0].model is not b[0].model
        assert torch.equal(of_a, read_once(views))
        assert torch.equal(of_b, read_once(views))
    assert not [*a[0].model.parameters()], "the copies hold no weights that are unloaded"


def borrowed(view: LoadedModel) -> None:
    view.borrowed = True


def of_foreign_code(view: LoadedModel) -> None:
    kind = type(view.model)
    view.model.__class__ = type(kind.__name__, (kind,), {"__module__": "transformers_modules.x"})


def with_a_forward_of_its_own(view: LoadedModel) -> None:
    vars(view.blocks[0])["forward"] = view.blocks[0].forward


def with_a_hook(view: LoadedModel) -> None:
    view.blocks[0].register_forward_hook(lambda *_: None)


def that_cannot_be_copied(view: LoadedModel) -> None:
    view.model.lock = threading.Lock()


@pytest.mark.parametrize(
    "change",
    [borrowed, of_foreign_code, with_a_forward_of_its_own, with_a_hook, that_cannot_be_copied],
)
def test_a_model_that_may_not_be_copied_is_read_as_before(
    views: list[LoadedModel], change: Callable[[LoadedModel], None]
) -> None:
    change(views[0])
    with two_at_once(views) as read:
        (used,) = read(lambda own, _: (own, torch.get_num_threads()), range(1))
    assert used[0] is views
    assert used[1] == 2
