"""What a run will do and under which keys its artefacts lie: no torch, no model, milliseconds.

A key is the digest of everything that matters to an artefact, so an unchanged run is answered from
the cache and a changed candidate re-uses the baseline's activations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.corpus import documents
from pytest_crossdiff.engine.corpus.prompts import digest_of, prompts
from pytest_crossdiff.engine.corpus.sampling import sample
from pytest_crossdiff.engine.models.sources.archived import archived_facts, resolve_or_archived
from pytest_crossdiff.engine.models.sources.references import same_tokenizer
from pytest_crossdiff.engine.reply_texts import answered_corpus
from pytest_crossdiff.errors import CorpusError
from pytest_crossdiff.settings.kinds import BOUNDED_FROM, OUTPUT
from pytest_crossdiff.settings.resolution import require
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.cache import Store
from pytest_crossdiff.store.digest import digest
from pytest_crossdiff.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_crossdiff.engine.corpus.documents import Corpus
    from pytest_crossdiff.engine.corpus.prompts import Prompt
    from pytest_crossdiff.engine.corpus.sampling import Sample
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.settings.kinds import Layer
    from pytest_crossdiff.sides import Side

    Texts = Sequence[str | Mapping[str, object]]

MIN_HELDOUT = 10
"""Held-out documents below which a bootstrap over documents means nothing."""

HARVEST_VERSION, PREDICTIONS_VERSION, CROSSCODER_VERSION = 4, 2, 9
VERIFICATION_VERSION, RESULT_VERSION, EXPLANATION_VERSION, WEIGHTS_VERSION = 20, 5, 10, 1
STATES_VERSION, METRICS_VERSION, CONVERSATIONS_VERSION, REPLIES_VERSION = 1, 2, 3, 1
READING_VERSION, POPULATION_VERSION, ANSWERS_VERSION, WRITING_VERSION = 1, 5, 1, 2
"""Versions of what the code makes of the same input; raised when that changes.  Of predictions
there is more than of a block.  That of conversations counts where there are any, and that of
answers where what is predicted in them is read.
"""
ALIGNMENT_VERSION = 2
"""Of how tokens are paired, where the two models' tokenizers differ; 1 was left out of the keys."""
METRICS_TOKENS = 16_384
"""Held-out tokens, of 4 bytes, on which the models' predictions are compared at most."""


class Plan(NamedTuple):
    """A run's inputs, resolved, and the keys of its artefacts.

    layers_by_key: the layers at which a model is read, also for other comparisons of the run, by
    the keys of the harvests.
    """

    settings: Settings
    store: Store
    references: dict[Side, ModelReference]
    corpus: Corpus
    sample: Sample
    harvest_keys: dict[Side, str]
    probe_keys: dict[Side, tuple[str, ...]]
    layers_by_key: dict[Side, dict[str, Layer]]
    crosscoder_keys: tuple[str, ...]
    control_keys: dict[str, str]
    weights_keys: dict[Side, str]
    result_key: str
    state_keys: dict[Side, str]
    metrics_key: str
    prompts: tuple[Prompt, ...]
    reply_keys: dict[Side, str]
    comparison_key: str

    def archive_facts(self, side: Side) -> dict[str, str]:
        """What the activations of a model depend on besides the model, in words."""
        return _archive_facts(self.settings, self.corpus, side)

    def piece_groups(self) -> list[int]:
        """For each piece of the sample the number of its group of documents."""
        numbers: dict[str, int] = {}
        documents = self.corpus.documents
        return [
            numbers.setdefault(documents[piece.document].group, len(numbers))
            for piece in self.sample.pieces
        ]


def plan(
    settings: Settings,
    texts: Texts | None = None,
    note: Callable[[str], None] | None = None,
) -> Plan:
    """Resolve `settings`; `texts` replace the corpus they name.

    note: told in words when something damaged was found in the cache.
    Raises `SettingsError`, `ModelError` or `CorpusError` on anything that can be known beforehand.
    """
    require(settings, *SIDES)
    store = Store.at(settings.cache_dir, note)
    references = {side: _reference(settings, side, store) for side in SIDES}
    column = settings.corpus_column
    corpus = (
        documents.read(settings.corpus, column)
        if texts is None
        else documents.from_records(texts, column=column)
    )
    models: dict[Side, str] = {side: references[side].digest for side in SIDES}
    asked = prompts(corpus) if settings.replies else []
    reply_keys = {side: _replies_key(settings, asked, models[side]) for side in SIDES}
    if settings.compare_replies:
        corpus = answered_corpus(settings, store, references, corpus, asked, reply_keys)
    drawn = sample(
        corpus, tokens=settings.tokens, context=settings.context, heldout=settings.heldout, seed=0
    )
    if drawn.heldout_documents < MIN_HELDOUT:
        raise CorpusError(
            f"{drawn.documents} documents are too few: {drawn.heldout_documents} held out, "
            f"{MIN_HELDOUT} are needed",
            source=_source(settings, "corpus") if texts is None else corpus.source,
            remedy="add documents, or divide long ones into records of their own",
        )

    conversations = _has_conversations(drawn)

    def harvest_key(side: Side, layer: Layer) -> str:
        return digest(
            {
                "version": [HARVEST_VERSION, PREDICTIONS_VERSION]
                if layer == OUTPUT
                else HARVEST_VERSION,
                "model": references[side].digest,
                "sample": drawn.digest,
                "layer": layer,
                "blocks": getattr(settings, f"{side}_blocks"),
                "dtype": settings.dtype,
                "chat_template": settings.chat_template,
                **({"reader": settings.reader} if settings.reader != "transformers" else {}),
                **({"conversations": CONVERSATIONS_VERSION} if conversations else {}),
                **({"answers": ANSWERS_VERSION} if conversations and layer == OUTPUT else {}),
            }
        )

    harvest_keys = {side: harvest_key(side, settings.layer_of(side)) for side in SIDES}
    extra_layers = settings.extra_probe_layers()
    probe_keys = {side: tuple(harvest_key(side, at) for at in extra_layers) for side in SIDES}
    layers_by_key: dict[Side, dict[str, Layer]] = {}
    for i, side in enumerate(SIDES):
        layers = settings.layer_of(side), *extra_layers, *(of[i] for of in settings.run_layers)
        layers_by_key[side] = {harvest_key(side, at): at for at in layers}
    for side, reference in references.items():
        keys = harvest_keys[side], *probe_keys[side]
        if reference.archived and not all(_complete(store, "harvest", key) for key in keys):
            known = archived_facts(reference, store)
            raise _unfit(settings, reference, known, _archive_facts(settings, corpus, side))
    state_keys = {side: states_key(settings, drawn, models[side]) for side in SIDES}
    chosen = ("architecture", "maps", "features", "exclusive_share", "k", "steps", "batch_size")
    training = {
        "version": CROSSCODER_VERSION,
        **({} if same_tokenizer(*references.values()) else {"alignment": ALIGNMENT_VERSION}),
        "harvests": [harvest_keys[side] for side in SIDES],
        **{name: getattr(settings, name) for name in (*chosen, "learning_rate")},
        **({"shards": settings.dictionary_shards} if settings.dictionary_shards > 1 else {}),
        **({"bounded": 1} if settings.tokens > BOUNDED_FROM and not settings.features else {}),
    }
    first, *others = seeds(settings)
    exclusive = {"exclusive": True} if settings.architecture == "innovation" else {}
    crosscoder_keys = (
        digest({**training, "seed": first}),
        *(digest({**training, "seed": seed, **exclusive}) for seed in others),
    )
    tests = ("exclusivity", "probe", "fdr", "bootstrap", "min_r2", "least_strength", "rewritten")
    testing = {
        "version": [RESULT_VERSION, VERIFICATION_VERSION],
        **{name: getattr(settings, name) for name in tests},
        **({"further": [probe_keys[side] for side in SIDES]} if extra_layers else {}),
    }
    return Plan(
        settings,
        store,
        references,
        corpus,
        drawn,
        harvest_keys,
        probe_keys,
        layers_by_key,
        crosscoder_keys,
        {
            kind: digest({kind: training, "seed": settings.seed, **testing})
            for kind in ("spiked", "null")
        },
        {
            side: digest({"weights": WEIGHTS_VERSION, "model": references[side].digest})
            for side in SIDES
        },
        digest(
            {
                "crosscoders": crosscoder_keys,
                **testing,
                "controls": settings.controls,
                "explanation": [
                    EXPLANATION_VERSION,
                    settings.effect,
                    *([] if settings.metrics else ["without metrics"]),
                ],
                **({"replies": True} if settings.compare_replies else {}),
            }
        ),
        state_keys,
        metrics_key(settings, drawn, models),
        tuple(asked),
        reply_keys,
        comparison_key(settings, asked, models),
    )


def states_key(settings: Settings, drawn: Sample, model: str) -> str:
    """The key of what the head of a model, given by its digest, reads on the held-out texts."""
    return digest(
        {
            "version": [STATES_VERSION, METRICS_TOKENS],
            "model": model,
            "sample": drawn.digest,
            "dtype": settings.dtype,
            "chat_template": settings.chat_template,
            **({"conversations": CONVERSATIONS_VERSION} if _has_conversations(drawn) else {}),
        }
    )


def metrics_key(settings: Settings, drawn: Sample, models: Mapping[Side, str]) -> str:
    """The key of how much the predictions of two models, given by their digests, differ."""
    states = [states_key(settings, drawn, models[side]) for side in SIDES]
    return digest({"version": METRICS_VERSION, "states": states})


def comparison_key(settings: Settings, asked: list[Prompt], models: Mapping[Side, str]) -> str:
    """The key of the replies of two models, given by their digests, side by side."""
    return digest({"replies": [_replies_key(settings, asked, models[side]) for side in SIDES]})


def _replies_key(settings: Settings, asked: list[Prompt], model: str) -> str:
    return digest(
        {
            "version": REPLIES_VERSION,
            "model": model,
            "prompts": digest_of(asked),
            "tokens": settings.replies,
            "dtype": settings.dtype,
        }
    )


def reading_key(settings: Settings, drawn: Sample, model: str) -> str:
    """The key of the log-probabilities that a model gives to the held-out texts."""
    return digest({"reading": READING_VERSION, "states": states_key(settings, drawn, model)})


def writing_key(settings: Settings, drawn: Sample, model: str) -> str:
    """The key of what a model writes after the first words of the held-out texts."""
    return digest({"writing": WRITING_VERSION, "states": states_key(settings, drawn, model)})


def _has_conversations(drawn: Sample) -> bool:
    return any(piece.text is None for piece in drawn.pieces)


def _archive_facts(settings: Settings, corpus: Corpus, side: Side) -> dict[str, str]:
    names = ("tokens", "context", "heldout", "dtype", "chat_template", "probe_layers")
    return {
        "corpus": corpus.digest,
        "layer": str(settings.layer_of(side)),
        "blocks": getattr(settings, f"{side}_blocks"),
        **{name: str(getattr(settings, name)) for name in names},
    }


def _complete(store: Store, kind: str, key: str) -> bool:
    return store.entry(kind, key).read_manifest() is not None


def _unfit(
    settings: Settings,
    reference: ModelReference,
    known: Sequence[Mapping[str, Sequence[str]]],
    here: Mapping[str, str],
) -> CorpusError:
    """What an archived model was read on, where that is not what is asked for."""
    differ = [[name for name, value in here.items() if value not in facts[name]] for facts in known]
    best = min(range(len(known)), key=lambda n: len(differ[n]))
    facts, names = known[best], differ[best]
    said = [
        f"crossdiff_{name} = {', '.join(facts[name])} there, {here[name]} here"
        for name in names
        if name != "corpus"
    ]
    if "corpus" in names:
        said.insert(0, "it is of another corpus")
    if not said and VERSION in facts["version"]:
        return CorpusError(
            f"the cache lacks activations of the archive of {reference.reference}",
            source=_source(settings, "baseline"),
            remedy="import the archive again: crossdiff baseline import FILE",
        )
    if not said:
        said = [
            f"it was made by version {', '.join(facts['version'])}, which reads models otherwise"
        ]
    return CorpusError(
        f"the archive of {reference.reference} does not fit: {'; '.join(said)}",
        source=_source(settings, "corpus"),
        remedy="use the texts and settings of the archive, or read the model itself again",
    )


def reference_plan(settings: Settings) -> Plan | None:
    """The plan of the same pair on the reference corpus; None where none is set.

    Raises `CorpusError` for a corpus that can't be read or is too small.
    """
    if not settings.reference_corpus:
        return None
    sources = {**settings.sources, "corpus": settings.sources.get("reference_corpus", "default")}
    chosen = settings.with_values(corpus=settings.reference_corpus)
    try:
        return plan(type(settings)(**chosen.given, sources=sources))
    except CorpusError as error:
        source = (error.source or "").replace("crossdiff_corpus ", "crossdiff_reference_corpus ")
        raise CorpusError(error.what, source=source, remedy=error.remedy) from error


def seeds(settings: Settings) -> tuple[int, ...]:
    """The seeds of the dictionaries."""
    return tuple(range(settings.seed, settings.seed + settings.seeds))


def _reference(settings: Settings, side: Side, store: Store) -> ModelReference:
    """The model of a side; an archive takes the place of a baseline only."""
    named = getattr(settings, side)
    own = named == settings.baseline
    return resolve_or_archived(named, store, source=_source(settings, side), by_name=own)


def _source(settings: Settings, name: str) -> str:
    return f"{settings.sources.get(name, 'default')} = {getattr(settings, name)}"
