"""`crossdiff doctor`: what would go wrong in a measurement, before anything expensive."""

from __future__ import annotations

import contextlib
import tempfile
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.arguments import add_settings, command, given
from pytest_crossdiff.cli.checks import Checks
from pytest_crossdiff.cli.costs import check_cost, nearest
from pytest_crossdiff.cli.exits import FINE, UNMEASURED
from pytest_crossdiff.cli.values import check_values
from pytest_crossdiff.report.tokenizers import token_notes
from pytest_crossdiff.results.result import layer_name
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import percent, plural

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

    from pytest_crossdiff.cli.arguments import Commands
    from pytest_crossdiff.cli.configuration import Configuration
    from pytest_crossdiff.cli.terminal import Terminal
    from pytest_crossdiff.engine.models.skeletons import ModelShape
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.engine.preflight import TokenCounts
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side

MORE = """\
Looks at the settings, both models, their tokenizers, the texts, the device, memory and
disk, and estimates the time.  Where nothing is wrong so far, it loads each model once and
checks on three texts that it is read as it runs.  Every line is a check: ✓ fine,
✗ a measurement would fail, with what to do about it, ! worth knowing.  With any ✗ the exit
code is 3."""
EXAMPLES = """\
  crossdiff doctor
  crossdiff doctor --candidate=checkpoints/v3 --corpus=evals/prompts.jsonl"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands, "doctor", "check everything that a measurement needs", run,
        more=MORE, examples=EXAMPLES,
    )  # fmt: skip
    add_settings(parser)


def run(options: argparse.Namespace, out: Terminal) -> int:
    """Examine what is configured."""
    from pytest_crossdiff.cli.configuration import read

    return examine(read(given(options)), out)


def examine(configuration: Configuration, out: Terminal) -> int:
    """Check one thing after the other; what needs a failed one is left out."""
    layers = [*configuration.settings.by_layer().values()]
    settings = layers[0]
    doctor = _Doctor(out)
    doctor.settings(configuration)
    doctor.cache(settings)
    device = doctor.device(settings)
    references = {side: found for side in SIDES if (found := doctor.reference(settings, side))}
    models = [
        {
            side: model
            for side, reference in references.items()
            if (model := doctor.model(settings, side, reference))
        }
        for settings in layers
    ]
    archived = any(reference.archived for reference in references.values())
    if len(references) == len(SIDES) and not archived:
        doctor.weights(references)
    plan = doctor.texts(settings, complete=len(references) == len(SIDES))
    if plan is not None and all(len(found) == len(SIDES) for found in models):
        tokens = doctor.tokens(plan, models[0])
        if tokens is not None and device:
            check_cost(doctor, plan, layers[1:], models, tokens)
            for at in layers if not doctor.failed else []:
                check_values(doctor, plan, at)
    return doctor.conclusion()


class _Doctor(Checks):
    """The checks of a measurement, one after the other."""

    def settings(self, configuration: Configuration) -> None:
        """Where the settings come from, and whether both models are named."""
        from pytest_crossdiff.settings.resolution import DEFAULT_LAYERS, require

        file = configuration.file
        sources = configuration.settings.sources.values()
        given = sum(source not in ("default", DEFAULT_LAYERS) for source in sources)
        where = f"{file}: {given} set" if file else f"no configuration file; {given} set"
        self.attempt("settings", lambda: require(configuration.settings, *SIDES), lambda _: where)

    def cache(self, settings: Settings) -> None:
        """Whether the cache can be written."""
        from pytest_crossdiff.store.cache import Store
        from pytest_crossdiff.store.files import translate_os_errors

        root = Store.at(settings.cache_dir).root

        def writable() -> Path:
            with (
                translate_os_errors(root, "write"),
                tempfile.TemporaryDirectory(dir=nearest(root)),
            ):
                return root

        self.attempt("cache", writable, lambda found: f"{found} can be written")

    def device(self, settings: Settings) -> bool:
        """What would compute."""
        from pytest_crossdiff.engine.models.devices import choose_device, choose_dtype
        from pytest_crossdiff.engine.models.readers.choice import must_be_installed

        def chosen() -> str:
            device = choose_device(settings.device)
            number = str(choose_dtype(settings.dtype, device)).removeprefix("torch.")
            must_be_installed(settings.reader)
            return f"{device}, {number}"

        return self.attempt("device", chosen, str) is not None

    def reference(self, settings: Settings, side: Side) -> ModelReference | None:
        """Whether there is such a model, with all of its files."""
        from pytest_crossdiff.engine.models.sources.archived import resolve_or_archived
        from pytest_crossdiff.store.cache import Store

        named = getattr(settings, side)
        if not named:
            return None
        store, source = Store.at(settings.cache_dir), settings.sources[side]
        own = named == settings.baseline
        found = self.attempt(
            side, lambda: resolve_or_archived(named, store, source=source, by_name=own)
        )
        if found is not None and found.remark:
            self.note(side, found.remark)
        return found

    def model(self, settings: Settings, side: Side, reference: ModelReference) -> ModelShape | None:
        """Whether the model can be built, and the block that is read."""
        from pytest_crossdiff.engine.models.skeletons import inspect_model

        if settings.trust_remote_code:
            self.note(side, "may run code of its own (trust_remote_code): not inspected")
            return None
        named = "layer" if getattr(settings, f"{side}_layer") is None else f"{side}_layer"

        def words(found: ModelShape) -> str:
            where = layer_name(found.layer, found.layers)
            return (
                f"{reference.reference}: {found.architecture}, "
                f"{found.weights / 1e6:.3g} million weights, {where}, width {found.width}"
            )

        blocks = getattr(settings, f"{side}_blocks")
        layer, source = settings.layer_of(side), settings.sources[named]
        return self.attempt(
            side, lambda: inspect_model(reference, layer=layer, blocks=blocks, source=source), words
        )

    def weights(self, references: dict[Side, ModelReference]) -> None:
        """Whether both models' weights were rounded alike."""
        from pytest_crossdiff.engine.models.loading.weight_grid import grid_remark, weight_grid

        with contextlib.suppress(OSError, ValueError):  # other checks say what is wrong
            remark = grid_remark({side: weight_grid(references[side]) for side in SIDES})
            if remark:
                self.note("weights", remark)

    def texts(self, settings: Settings, *, complete: bool) -> Plan | None:
        """Whether the corpus can be read and divided; the plan, where both models are there."""
        from pytest_crossdiff.engine.corpus import documents
        from pytest_crossdiff.engine.plan import plan, reference_plan

        def words(found: Plan | None) -> str:
            if found is None:
                return ""
            texts, sample = found.corpus, found.sample
            left = f"{texts.empty} empty, {plural(texts.duplicates, 'duplicate')} left out"
            return (
                f"{texts.source}: {texts.records} records ({left}); "
                f"{sample.documents} documents drawn, {sample.heldout_documents} held out"
            )

        if complete:
            found = self.attempt("texts", lambda: plan(settings), words)
            if settings.reference_corpus:
                self.attempt("reference texts", lambda: reference_plan(settings), words)
            if found is not None and settings.max_surprising_replies is not None:
                self.replies(settings, found)
            for remark in found.corpus.remarks() if found is not None else ():
                self.note("texts", remark)
            return found
        self.attempt(
            "texts",
            lambda: documents.read(settings.corpus, settings.corpus_column),
            lambda found: f"{found.source}: {found.records} records",
        )
        return None

    def replies(self, settings: Settings, plan: Plan) -> None:
        """Whether there are replies to hold against a budget on them."""
        why = "the corpus has no prompts" if settings.replies else "crossdiff_replies = 0"
        if not plan.prompts:
            self.report_check(
                "replies", f"crossdiff_max_surprising_replies is set, and {why}", passed=False,
                remedy="give conversations and crossdiff_replies, or remove the budget",
            )  # fmt: skip

    def tokenizer(self, plan: Plan, side: Side) -> PreTrainedTokenizerBase | None:
        """Whether a model's tokenizer is there, and a fast one."""
        from pytest_crossdiff.engine.models.loading.load import load_tokenizer

        trust, source = plan.settings.trust_remote_code, plan.settings.sources[side]
        return self.attempt(
            f"{side} tokens",
            lambda: load_tokenizer(plan.references[side], trust_remote_code=trust, source=source),
            lambda found: f"{type(found).__name__}, {len(found):,} tokens",
        )

    def tokens(self, plan: Plan, models: dict[Side, ModelShape]) -> TokenCounts | None:
        """Whether both tokenizers take the texts, and whether they are enough."""
        from pytest_crossdiff.engine import preflight

        tokenizers = {
            side: found for side in SIDES if (found := self.tokenizer(plan, side)) is not None
        }
        if len(tokenizers) < len(SIDES):
            return None
        tokens = self.attempt(
            "alignment",
            lambda: preflight.count(plan, tokenizers, models),
            lambda t: (
                f"{percent(t.aligned[0])} of the baseline's tokens have a partner, "
                f"{percent(t.aligned[1])} of the candidate's"
            ),
        )
        if tokens is None:
            return None
        if min(tokens.aligned) < 0.9:
            self.note("alignment", "below 90 %: look at the texts, and at both tokenizers")
        if tokens.truncated > 0.01:
            share = percent(tokens.truncated)
            self.note("alignment", f"{share} of the text exceeds a model's maximum input length")
        for note in token_notes(tokens.tokenizers):
            self.note("tokenizers", note)
        self.conversations(tokens)
        enough = self.attempt(
            "amount",
            lambda: preflight.check_size(plan.settings, tokens.pairs, models),
            lambda features: (
                f"about {tokens.pairs:,} token pairs to learn {features} features from"
            ),
        )
        return tokens if enough is not None else None

    def conversations(self, tokens: TokenCounts) -> None:
        """What is worth knowing of conversations and the templates that render them."""
        for note in tokens.template:
            self.note("chat template", note)
        for side in tokens.dated:
            self.note(f"{side} tokens", "the chat template writes today's date: it will be read "
                      "as on 26 July 2024, on whatever day")  # fmt: skip
        for side in tokens.unplaced:
            self.note(f"{side} tokens", "the chat template leaves out or rewrites reasoning or "
                      "tool calls: that text is not compared")  # fmt: skip
        without, conversations = tokens.unanswered
        if without:
            self.note("texts", f"{without} of {conversations} conversations have no assistant's "
                      "turn: all of their turns will be compared")  # fmt: skip

    def conclusion(self) -> int:
        """The last line, and the exit code."""
        self.out.line()
        if not self.failed:
            self.out.line("Nothing stands in the way of a measurement.")
            return FINE
        self.out.line(f"{plural(self.failed, 'check')} failed: a measurement would, too.")
        return UNMEASURED
