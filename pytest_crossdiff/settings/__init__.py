"""The one table of settings: every ini key, flag, environment variable, type, default and help.

A setting `name` is the ini key `crossdiff_name`, the flag `--crossdiff-name` and the keyword `name`
of `@pytest.mark.crossdiff(...)`.  Precedence: marker, flag, environment, ini, default.
This module is imported at every pytest start, so it imports nothing that pytest hasn't.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_crossdiff.settings import kinds
from pytest_crossdiff.settings.kinds import Setting
from pytest_crossdiff.settings.outcome import OutcomeSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_crossdiff.errors import SettingsError
    from pytest_crossdiff.settings.kinds import Layer, Layers
    from pytest_crossdiff.sides import Side


class Settings(OutcomeSettings):
    """All settings of one comparison, parsed.

    given: the values that aren't the defaults, by name.  sources: where each value came from.
    run_layers: of either model, all that the run compares; this is one of its comparisons.
    """

    run_layers: Sequence[tuple[Layer, Layer]] = ()

    # The pair
    baseline = Setting(
        "", kinds.text, "the model in use: path or hub id@revision",
        env="CROSSDIFF_BASELINE", path="model",
    )  # fmt: skip
    candidate = Setting(
        "", kinds.text, "the model to replace it: path or hub id@revision",
        env="CROSSDIFF_CANDIDATE", path="model",
    )  # fmt: skip
    layer: Setting[Layers] = Setting(
        0.5,
        kinds.layers,
        "where the models are compared: after a block (index or fraction of the depth) or output, "
        "several separated by commas; for models that both predict tokens: 0.5, output",
        several=True,
    )
    baseline_layer = Setting(
        None, kinds.optional_layers, "layer of the baseline, if it is another one", several=True
    )
    candidate_layer = Setting(
        None, kinds.optional_layers, "layer of the candidate, if it is another one", several=True
    )
    baseline_blocks = Setting(
        "", kinds.text, "dotted name of the baseline's list of blocks, where it is not found"
    )
    candidate_blocks = Setting(
        "",
        kinds.text,
        "dotted name of the candidate's list of blocks, where it is not found",
    )
    dtype = Setting(
        "auto",
        kinds.choice("auto", "float32", "bfloat16", "float16"),
        "number type of the forward pass; auto: bfloat16 on a GPU that has it, else float32",
    )
    device = Setting("auto", kinds.text, "auto, cpu, cuda, cuda:1, mps")
    reader = Setting("transformers", kinds.choice("transformers", "vllm"), "what reads a block")
    device_map = Setting(
        "", kinds.text, "deals a model out to devices and disk: auto, or auto, 0=70GB, cpu=200GB"
    )
    dictionary_shards = Setting(
        1, kinds.integer(1, 1024), "parts in which a dictionary is trained that doesn't fit one "
        "device; under torchrun as many processes train it together",
    )  # fmt: skip
    trust_remote_code = Setting(
        False, kinds.flag, "run Python code shipped with a pinned model revision", ini_only=True
    )
    chat_template = Setting(
        "own",
        kinds.choice("own", "plain"),
        "own: render messages with each model's chat template; plain: join only their contents",
    )
    references: Setting[tuple[str, ...]] = Setting(
        (),
        kinds.names,
        "reference models, separated by commas: paths, hub ids, or folders that `crossdiff "
        "references add` has written; candidate and baseline are compared with them",
        several=True,
        path="model",
    )
    reference_writing = Setting(
        True,
        kinds.flag,
        "with references: also judge the words that each model writes after the first words of "
        "held-out texts, or as the answer to held-out conversations",
    )
    corpus = Setting(
        "builtin:pydoc",
        kinds.text,
        "texts: .txt, .jsonl, .csv, .parquet, .json or .yaml, or a folder of the first four; one "
        'line of .jsonl: {"text": "..."} or {"messages": [{"role": "user", "content": "..."}]}',
        path="file",
    )
    corpus_column = Setting(
        "",
        kinds.corpus_columns,
        "key of the records that holds the text, such as question, or several keys with roles: "
        "system:rules, user:question, assistant:answer; default: text, messages or a known format",
    )
    reference_corpus = Setting(
        "",
        kinds.text,
        "texts of the last sign-off, in the form of the corpus, to report separately what the "
        "model and what the texts have changed since then; none: not reported",
        path="file",
    )
    tokens = Setting(
        50_000, kinds.integer(1), "how much of the corpus to read, in tokens of about 4 bytes"
    )
    context = Setting(
        256, kinds.integer(16), "maximum length of a piece of text, in tokens of about 4 bytes"
    )
    heldout = Setting(
        0.3,
        kinds.number(0.05, 0.9),
        "share of the texts, in whole documents, that is held out for verification",
    )
    # The dictionary
    architecture = Setting(
        "innovation", kinds.choice("innovation", "dfc", "standard"), "kind of crosscoder"
    )
    maps = Setting(
        "linear",
        kinds.choice("linear", "curved"),
        "map between the models in architecture innovation; curved adds a small network where the "
        "model distance is large and the network predicts better",
    )
    features = Setting(
        0, kinds.integer(0, 2**24), "dictionary size; 0: chosen from the corpus size"
    )
    exclusive_share = Setting(
        0.2,
        kinds.number(0.0, 0.45, open_low=True),
        "share of the features reserved for each model",
    )
    k = Setting(24, kinds.integer(1, 2**24), "active features per token, on average")
    steps = Setting(0, kinds.integer(0), "training steps; 0: chosen from the corpus size")
    batch_size = Setting(256, kinds.integer(2, 2**20), "token pairs per training step")
    learning_rate = Setting(1e-3, kinds.number(0.0, 1.0, open_low=True), "Adam's step size")
    seeds = Setting(
        3,
        kinds.integer(1, 1_000),
        "number of dictionaries; a difference is confirmed when most have it",
    )
    seed = Setting(0, kinds.integer(0, 2**62), "seed of the first dictionary's initial weights")
    # Verification
    exclusivity = Setting(
        0.5,
        kinds.number(0.0, 1.0),
        "minimum exclusivity: how much worse the other model must predict a feature (lower bound)",
    )
    probe = Setting(
        "mlp",
        kinds.choice("mlp", "ridge"),
        "probe that predicts features from a model: linear, or with a small network as well",
    )
    probe_layers = Setting(
        "",
        kinds.extra_probe_layers,
        "further blocks of both models that the probes read, separated by commas, so that "
        "information which a model has at another depth does not count as missing",
    )
    fdr = Setting(0.05, kinds.number(0.0, 1.0, open_low=True), "false discovery rate")
    bootstrap = Setting(10_000, kinds.integer(100, 1_000_000), "bootstrap draws over documents")
    min_r2 = Setting(
        0.25,
        kinds.number(0.0, 1.0),
        "minimum R² of the prediction by its own model; weaker features are not tested",
    )
    controls = Setting(
        True,
        kinds.flag,
        "measure the limit of detection (planted signals) and false positives (null control)",
    )
    min_strength = Setting(
        None,
        kinds.optional_number(0.0, 1.0),
        "minimum joint strength of a difference; weaker ones do not count; none: 0.0002 in a "
        "block, 0.001 in the output",
    )
    rewritten = Setting(
        True,
        kinds.flag,
        "between related models, also count new uses of information that both models have",
    )
    effect = Setting(
        True,
        kinds.flag,
        "measure the effect of each difference on its model's output; verdicts do not depend on it",
    )
    metrics = Setting(
        True,
        kinds.flag,
        "measure on held-out text how much the predictions differ (KL divergence, same top token, "
        "perplexity), if both models predict the next token",
    )
    replies = Setting(
        64,
        kinds.integer(0, 100_000),
        "maximum length in tokens of the replies to the prompts of the corpus; 0: no replies",
    )
    compare_replies = Setting(
        False,
        kinds.flag,
        "also look for differences in both models' replies, as texts beside the corpus",
    )
    # Budgets
    max_candidate_only = Setting(
        0,
        kinds.integer(0),
        "maximum number of differences that only the candidate has",
        decides=True,
    )
    max_baseline_only = Setting(
        0,
        kinds.integer(0),
        "maximum number of differences that only the baseline has",
        decides=True,
    )
    max_candidate_only_strength = Setting(
        None,
        kinds.optional_number(0.0, 1.0),
        "maximum joint strength of the candidate-only differences; none: no limit",
        decides=True,
    )
    max_baseline_only_strength = Setting(
        None,
        kinds.optional_number(0.0, 1.0),
        "maximum joint strength of the baseline-only differences; none: no limit",
        decides=True,
    )
    min_fve = Setting(
        0.3,
        kinds.number(0.0, 1.0),
        "minimum share of each model's variance that the dictionary must explain for a verdict",
        decides=True,
    )
    # Accepted differences
    accepted_growth = Setting(
        2.0,
        kinds.number(1.0, 100.0),
        "an accepted difference counts again above this multiple of the strength that was accepted",
        decides=True,
    )
    accepted_texts = Setting(
        True,
        kinds.flag,
        "store the description, tokens and contexts of differences in crossdiff-accepted.json",
        decides=True,
    )

    def __init__(self, *, sources: Mapping[str, str] | None = None, **given: object) -> None:
        if unknown := given.keys() - {row.name for row in fields()}:
            raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
        self.given: Mapping[str, object] = given
        self.sources = dict(sources or {})

    def with_values(self, **others: object) -> Settings:
        """The same settings, some of them with other values."""
        made = Settings(**{**self.given, **others}, sources=self.sources)
        made.run_layers = self.run_layers
        return made

    def as_dict(self) -> dict[str, object]:
        """The value of every setting, by name."""
        return {row.name: self.given.get(row.name, row.default) for row in fields()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().values()))

    def layer_of(self, side: Side) -> Layer:
        """Where one model is read, as it is asked for.  Raises `SettingsError` for several."""
        first, *others = self._layers_of(side)
        if others:
            raise settings_error(
                f"crossdiff_layer names several layers, {first} and "
                f"{', '.join(map(str, others))}, where one has to be chosen",
                self.sources.get("layer", ""),
                f"name one, e.g. layer={others[-1]} or --layer={others[-1]}",
            )
        return first

    def _layers_of(self, side: Side) -> tuple[Layer, ...]:
        own: Layers | None = getattr(self, f"{side}_layer")
        chosen = self.layer if own is None else own
        return chosen if isinstance(chosen, tuple) else (chosen,)

    def by_layer(self) -> dict[str, Settings]:
        """The settings for each of the layers that are named, by a name for it; by "" where it is
        one.  Raises `SettingsError` where the models don't have as many.
        """
        a, b = self._layers_of("baseline"), self._layers_of("candidate")
        if len(a) != len(b):
            raise settings_error(
                f"{len(a)} layers of the baseline can't be compared with {len(b)} of the candidate",
                self.sources.get("baseline_layer" if len(a) > 1 else "candidate_layer", ""),
                "name as many for both, in crossdiff_layer or in crossdiff_baseline_layer and "
                "crossdiff_candidate_layer",
            )
        if len(a) == 1:
            return {"": self}
        run = self.with_values()
        run.run_layers = [*zip(a, b, strict=True)]
        return {
            str(x) if x == y else f"{x}-{y}": run.with_values(
                layer=x, baseline_layer=x if x != y else None, candidate_layer=y if x != y else None
            )
            for x, y in run.run_layers
        }

    @property
    def least_strength(self) -> float:
        """Below which a difference is not counted: as it is set, or else the layer's default."""
        if self.min_strength is not None:
            return self.min_strength
        output = kinds.OUTPUT in (self.layer_of("baseline"), self.layer_of("candidate"))
        return kinds.MIN_STRENGTH_OUTPUT if output else kinds.MIN_STRENGTH_BLOCK

    def extra_probe_layers(self) -> tuple[Layer, ...]:
        """Further layers that probes read."""
        return tuple(kinds.layer(one) for one in self.probe_layers.split(",") if one)


def fields() -> tuple[Setting[Any], ...]:
    """The rows of the table, in order."""
    rows = (*vars(Settings).values(), *vars(OutcomeSettings).values())
    return tuple(row for row in rows if isinstance(row, Setting))


def settings_error(what: str, source: str, remedy: str) -> SettingsError:
    """A `SettingsError`, whose class pytest's start does not import."""
    from pytest_crossdiff.errors import SettingsError

    return SettingsError(what, source=source, remedy=remedy)
