"""The one table of settings: every ini key, flag, environment variable, type, default and help.

A setting `name` is the ini key `crossdiff_name`, the flag `--crossdiff-name` and the keyword `name`
of `@pytest.mark.crossdiff(...)`.  Precedence: marker, flag, environment, ini, default.
This module is imported at every pytest start, so it imports nothing that pytest hasn't.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_crossdiff.settings import kinds
from pytest_crossdiff.settings.kinds import Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_crossdiff.errors import SettingsError
    from pytest_crossdiff.settings.kinds import Layer, Layers
    from pytest_crossdiff.sides import Side


MIN_STRENGTH_BLOCK, MIN_STRENGTH_OUTPUT = 0.0002, 0.001
"""Training continued without a plant leaves a strength of 0.0001 at most in a block and of 0.0004
in the output, plants 0.0003 and 0.004 (docs/evidence.md).
"""


class Settings:
    """All settings of one comparison, parsed.

    given: the values that aren't the defaults, by name.  sources: where each value came from.
    """

    # The pair
    baseline = Setting(
        "",
        kinds.text,
        "the model in use: path or hub id@revision",
        env="CROSSDIFF_BASELINE",
        path="model",
    )
    candidate = Setting(
        "",
        kinds.text,
        "the model to replace it: path or hub id@revision",
        env="CROSSDIFF_CANDIDATE",
        path="model",
    )
    layer: Setting[Layers] = Setting(
        0.5,
        kinds.layers,
        "what is compared: the output of a block (index, negative index or fraction of depth), or "
        "output: what the models predict; of several, with commas between, each by itself",
        several=True,
    )
    baseline_layer = Setting(
        None, kinds.optional_layers, "the same for the baseline alone", several=True
    )
    candidate_layer = Setting(
        None, kinds.optional_layers, "the same for the candidate alone", several=True
    )
    baseline_blocks = Setting(
        "", kinds.text, "dotted name of the baseline's list of blocks, where it can't be found"
    )
    candidate_blocks = Setting(
        "", kinds.text, "dotted name of the candidate's list of blocks, where it can't be found"
    )
    dtype = Setting(
        "auto",
        kinds.choice("auto", "float32", "bfloat16", "float16"),
        "number type of the forward pass; auto: bfloat16 on a GPU that has it, else float32",
    )
    device = Setting("auto", kinds.text, "auto, cpu, cuda, cuda:1, mps")
    trust_remote_code = Setting(
        False, kinds.flag, "run Python code shipped with a pinned model revision", ini_only=True
    )
    chat_template = Setting(
        "own",
        kinds.choice("own", "plain"),
        "own: each model's chat template renders messages; plain: only their contents, joined",
    )
    # The corpus
    corpus = Setting(
        "builtin:pydoc",
        kinds.text,
        "texts: a .txt, .jsonl, .csv or .parquet file, or a folder of them",
        path="file",
    )
    tokens = Setting(
        50_000, kinds.integer(1), "how much of the corpus to read, in tokens of about 4 bytes"
    )
    context = Setting(256, kinds.integer(16), "longest piece of a document, in tokens of 4 bytes")
    heldout = Setting(
        0.3, kinds.number(0.05, 0.9), "share of the texts, by document, kept for verification"
    )
    # The dictionary
    architecture = Setting(
        "innovation", kinds.choice("innovation", "dfc", "standard"), "kind of crosscoder"
    )
    maps = Setting(
        "linear",
        kinds.choice("linear", "curved"),
        "what innovation predicts one model from the other with; curved: a small network besides, "
        "where models are far apart and it helps",
    )
    features = Setting(0, kinds.integer(0), "dictionary size; 0: chosen from the corpus size")
    exclusive_share = Setting(
        0.2,
        kinds.number(0.0, 0.45, open_low=True),
        "share of the features set aside for each model",
    )
    k = Setting(24, kinds.integer(1), "active features a token, on average")
    steps = Setting(0, kinds.integer(0), "training steps; 0: chosen from the corpus size")
    batch_size = Setting(256, kinds.integer(2), "token pairs a training step")
    learning_rate = Setting(1e-3, kinds.number(0.0, 1.0, open_low=True), "Adam's step size")
    seeds = Setting(
        3, kinds.integer(1), "dictionaries trained side by side; most must have a difference"
    )
    seed = Setting(0, kinds.integer(0), "seed of the first dictionary's initial weights")
    # Verification
    exclusivity = Setting(
        0.5,
        kinds.number(0.0, 1.0),
        "how much worse the other model must predict a feature to call it exclusive (lower bound)",
    )
    probe = Setting(
        "mlp",
        kinds.choice("mlp", "ridge"),
        "what may read a feature from the other model: linear, or a small network as well",
    )
    probe_layers = Setting(
        "",
        kinds.extra_probe_layers,
        "further blocks of either model that a probe may read, with commas between: what a model "
        "has at another depth is not missing from it",
    )
    fdr = Setting(0.05, kinds.number(0.0, 1.0, open_low=True), "false discovery rate")
    bootstrap = Setting(10_000, kinds.integer(100), "bootstrap draws over documents")
    min_r2 = Setting(
        0.25,
        kinds.number(0.0, 1.0),
        "a feature its own model predicts worse than this is no evidence",
    )
    controls = Setting(
        True, kinds.flag, "plant known signals and hold the baseline against itself, in every run"
    )
    min_strength = Setting(
        None,
        kinds.optional_number(0.0, 1.0),
        "a difference with less joint strength is not counted; none: 0.0002 of a block, 0.001 of "
        "the output",
    )
    rewritten = Setting(
        True,
        kinds.flag,
        "between related models, count what one has rewritten on places both know",
    )
    effect = Setting(
        True,
        kinds.flag,
        "measure what each difference does to its model's output; decides nothing",
    )
    metrics = Setting(
        True,
        kinds.flag,
        "measure on held-out text how far the models' predictions are apart (KL divergence, same "
        "top token, perplexity), where both predict the next token",
    )
    # Budgets
    max_candidate_only = Setting(
        0, kinds.integer(0), "most differences that only the candidate may have", decides=True
    )
    max_baseline_only = Setting(
        0, kinds.integer(0), "most differences that only the baseline may have", decides=True
    )
    max_candidate_only_strength = Setting(
        None,
        kinds.optional_number(0.0, 1.0),
        "largest joint strength of those; none: any",
        decides=True,
    )
    max_baseline_only_strength = Setting(
        None,
        kinds.optional_number(0.0, 1.0),
        "largest joint strength of those; none: any",
        decides=True,
    )
    max_kl = Setting(
        None,
        kinds.optional_number(0.0, 100.0),
        "largest mean KL divergence of the candidate's predictions from the baseline's, in nats a "
        "token; none: any",
        decides=True,
    )
    max_kl_p99 = Setting(
        None,
        kinds.optional_number(0.0, 100.0),
        "largest 99th percentile of the KL divergence over tokens, in nats; none: any",
        decides=True,
    )
    min_same_top = Setting(
        None,
        kinds.optional_number(0.0, 1.0),
        "least share of tokens at which both models have the same most likely token; none: any",
        decides=True,
    )
    max_probability_change = Setting(
        None,
        kinds.optional_number(0.0, 1.0),
        "largest root mean square change of the actual token's probability; none: any",
        decides=True,
    )
    max_perplexity_ratio = Setting(
        None,
        kinds.optional_number(0.0, 1000.0),
        "largest perplexity of the candidate over the baseline's on held-out text; none: any",
        decides=True,
    )
    min_fve = Setting(
        0.3,
        kinds.number(0.0, 1.0),
        "least share of each model's variance the dictionary must explain for a verdict",
        decides=True,
    )
    # Accepted differences
    accepted_growth = Setting(
        2.0,
        kinds.number(1.0, 100.0),
        "an accepted difference counts again when it is stronger than so many times what was "
        "accepted",
        decides=True,
    )
    accepted_texts = Setting(
        True,
        kinds.flag,
        "whether crossdiff-accepted.json has texts: a description, tokens and contexts of each",
        decides=True,
    )
    # The report
    report = Setting(
        "",
        kinds.formats,
        "forms in which the report of every measured pair is written",
        decides=True,
    )
    report_on_failure = Setting(
        "html", kinds.formats, "forms in which it is written when a verdict fails", decides=True
    )
    report_dir = Setting(
        "",
        kinds.text,
        "folder of the reports; none: crossdiff-report in pytest's rootdir",
        decides=True,
        path="file",
    )
    inconclusive = Setting(
        "fail",
        kinds.choice("fail", "warn"),
        "what an inconclusive verdict does to the test",
        decides=True,
    )
    # The cache
    cache_dir = Setting(
        "", kinds.text, "folder of the cache; none: the user's cache folder", path="file"
    )
    train = Setting(
        "auto",
        kinds.choice("auto", "never"),
        "never: only read the cache, fail where it has no answer",
    )

    def __init__(self, *, sources: Mapping[str, str] | None = None, **given: object) -> None:
        if unknown := given.keys() - {row.name for row in fields()}:
            raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
        self.given: Mapping[str, object] = given
        self.sources = dict(sources or {})

    def with_values(self, **others: object) -> Settings:
        """The same settings, some of them with other values."""
        return Settings(**{**self.given, **others}, sources=self.sources)

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
            raise _settings_error(
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
            raise _settings_error(
                f"{len(a)} layers of the baseline can't be held against {len(b)} of the candidate",
                self.sources.get("baseline_layer" if len(a) > 1 else "candidate_layer", ""),
                "name as many for both, in crossdiff_layer or in crossdiff_baseline_layer and "
                "crossdiff_candidate_layer",
            )
        if len(a) == 1:
            return {"": self}
        return {
            str(x) if x == y else f"{x}-{y}": self.with_values(
                layer=x,
                baseline_layer=None if x == y else x,
                candidate_layer=None if x == y else y,
            )
            for x, y in zip(a, b, strict=True)
        }

    @property
    def least_strength(self) -> float:
        """Below which a difference is not counted: as it is set, or else what suits the layer."""
        if self.min_strength is not None:
            return self.min_strength
        output = kinds.OUTPUT in (self.layer_of("baseline"), self.layer_of("candidate"))
        return MIN_STRENGTH_OUTPUT if output else MIN_STRENGTH_BLOCK

    def extra_probe_layers(self) -> tuple[Layer, ...]:
        """Where probes may read besides."""
        return tuple(kinds.layer(one) for one in self.probe_layers.split(",") if one)


def fields() -> tuple[Setting[Any], ...]:
    """The rows of the table, in order."""
    return tuple(row for row in vars(Settings).values() if isinstance(row, Setting))


def parse(name: str, raw: object, source: str) -> Any:  # noqa: ANN401  its type is the setting's
    """The value of setting `name` given as `raw`: text, or already typed (from TOML or a marker).

    Raises `SettingsError` that names `source`.
    """
    field = next(f for f in fields() if f.name == name)
    if field.several and isinstance(raw, (list, tuple)):
        raw = ",".join(map(str, raw))
    try:
        return field.parse(_one(raw))
    except ValueError as error:
        raise _settings_error(
            f"crossdiff_{name} = {raw!r} is not valid: {error}", source, f"give {field.help}"
        ) from None


def _settings_error(what: str, source: str, remedy: str) -> SettingsError:
    from pytest_crossdiff.errors import SettingsError

    return SettingsError(what, source=source, remedy=remedy)


def _one(raw: object) -> str:
    if isinstance(raw, (list, tuple, dict, set)):
        raise ValueError("expected one value")  # noqa: TRY004  one kind of error a caller
    return "" if raw is None else str(raw)


def closest_match(name: str, known: Iterable[str]) -> str:
    """The known name most like a misspelt one, "" when none is."""
    import difflib

    return next(iter(difflib.get_close_matches(name, known, n=1)), "")
