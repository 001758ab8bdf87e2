"""A difference, a feature or a context in a few words, the same wherever it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.text import (
    MARKS,
    columns,
    cut,
    harmless,
    number,
    percent,
    plural,
    quoted,
    tail,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_crossdiff.results.difference import Context, Difference, Feature
    from pytest_crossdiff.results.in_common import InCommon
    from pytest_crossdiff.results.output import ChangedPosition, Estimate, OutputMetrics
    from pytest_crossdiff.results.replies import Replies
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.results.workflow import DriftedSlice, Workflow
    from pytest_crossdiff.sides import Side

TOKENS, WORDS = 5, 5
"""Of each in the description of a difference."""


def tokens(difference: Difference) -> str:
    """The tokens it fires on, most often first."""
    return quoted(t.token for t in difference.tokens)


def describe_difference(difference: Difference) -> str:
    """`fires on ' pods' ' node'; near the words cluster, restart`: where it fires, in short."""
    fires = quoted(t.token for t in difference.tokens[:TOKENS])
    words = ", ".join(visible(word) for word, _ in difference.description.words[:WORDS])
    label = f"{visible(difference.label)} (unverified)" if difference.label else ""
    parts = label, fires and f"fires on {fires}", words and f"near the words {words}"
    return "; ".join(filter(None, parts))


def marked(context: Context, width: int) -> str:
    """The context in at most `width` columns with its token marked and kept in view."""
    before, token, after = map(visible, (context.before, context.token, context.after))
    before = harmless(before)
    token = MARKS[0] + cut(token, width - 4) + MARKS[1]
    display = max(0, width - columns(token))
    left = max(display // 2, display - columns(after))
    if columns(before) > left:
        before = "…" + tail(before, left - 1) if left > 0 else ""
    return before + token + cut(after, max(0, display - columns(before)))


def interval(of: Difference | Feature) -> str:
    """The exclusivity with its interval; the word for rewritten differences, for which it decides
    nothing.
    """
    if of.kind == "rewritten":
        return of.kind
    return f"{of.exclusivity:.2f} [{of.exclusivity_low:.2f}, {of.exclusivity_high:.2f}]"


def estimate(of: Estimate, show: Callable[[float], str] = number) -> str:
    """`0.0123 [0.0101, 0.015]`: a number with its 95 % interval, where there is one."""
    if of.low is None or of.high is None:
        return show(of.value)
    return f"{show(of.value)} [{show(of.low)}, {show(of.high)}]"


def describe_output(output: OutputMetrics) -> str:
    """How much the predictions differ, in one line, on how much text."""
    if output.kl is not None and output.same_top is not None:
        high = output.kl_percentiles["99"].value
        parts = [
            f"KL {estimate(output.kl)} nats a token, 99th percentile {number(high)}",
            f"same top token {estimate(output.same_top, percent)}",
        ]
    else:
        rms = estimate(output.log_probability_change_rms)
        parts = [f"log-probability of a span changes by {rms} nats (RMS; different tokenizers)"]
    parts.append(f"perplexity ratio {estimate(output.perplexity_ratio)}")
    texts = plural(output.documents, "document")
    return f"{', '.join(parts)}; {plural(output.positions, output.unit)} of {texts}"


def describe_replies(found: Replies) -> str:
    """`12 of 100 of the candidate's replies are surprising to the baseline (12 %) …`."""
    of = found.surprising_candidate
    if not of.total:
        of_baseline = found.surprising_baseline
        return (
            f"{found.changed.count} of {found.changed.total} differ, "
            f"{found.changed_beginning.count} from the first word; {of_baseline.count} of the "
            "baseline's are surprising to the candidate; the baseline, of which only an archive "
            "is here, did not read the candidate's"
        )
    return (
        f"{of.count} of {of.total} of the candidate's replies are surprising to the baseline "
        f"({percent(of.value)} [{percent(of.low)}, {percent(of.high)}]), "
        f"{found.surprising_baseline.count} of the baseline's to the candidate (at least "
        f"{found.threshold:g} nats a token less likely than its own); "
        f"{found.changed.count} differ, "
        f"{found.changed_beginning.count} from the first word"
    )


def describe_in_common(found: InCommon) -> tuple[str, ...]:
    """What the candidate's surprising replies share, a sentence without a full stop for each."""
    return tuple(_in_common(found))


def _in_common(found: InCommon) -> Iterator[str]:
    for phrase in found.phrases:
        says = "begin with" if phrase.begins else "say"
        if phrase.side == "candidate":
            few = f"the baseline's {found.total}: {phrase.others}"
            yield f"{phrase.count} of {found.count} {says} {quoted([phrase.text])} ({few})"
        else:
            few = f"the candidate's {found.total}: {phrase.others}"
            yield (
                f"the baseline's to {phrase.count} of these {found.count} prompts {says} "
                f"{quoted([phrase.text])} ({few})"
            )
    if found.words:
        baseline, candidate = found.words
        yield (
            f"their length in words and marks is {candidate:g}, of the baseline's to the same "
            f"prompts {baseline:g} (medians)"
        )
    for part in found.slices:
        yield (
            f"{part.count} of {found.count} answer prompts of the slice {visible(part.name)!r}, "
            f"of which {part.total} were asked"
        )


def behaviour(difference: Difference, result: Result) -> str:
    """What the difference does, in one sentence without a full stop: what both models say where it
    is active, or else where that is.
    """
    if (said := difference.said) is not None:
        return (
            f"After {quoted([said.after])} the candidate says {quoted([said.candidate])} "
            f"({percent(said.candidate_probability)}), the baseline {quoted([said.baseline])} "
            f"({percent(said.baseline_probability)})"
        )
    here, instead = (quoted(of[:TOKENS]) for of in result.predicted_tokens(difference))
    other = "baseline" if difference.side == "candidate" else "candidate"
    if here and instead:
        return f"The {difference.side} says {here} where the {other} says {instead}"
    if here or instead:
        return f"The {difference.side if here else other} says {here or instead} more often"
    where = quoted(t.token for t in difference.tokens[:TOKENS])
    words = ", ".join(visible(word) for word, _ in difference.description.words[:WORDS])
    near = f"near the words {words}" if words else ""
    what = f"The {difference.side} represents something that the {other} does not"
    return f"{what}: {', '.join(filter(None, (where and f'on {where}', near)))}".rstrip(": ")


def telling_context(difference: Difference, result: Result) -> Context | None:
    """The strongest context whose token the sentence of `behaviour` names, the strongest of all
    where it names none; None where no context that was kept shows such a token.
    """
    if difference.said is not None:
        named = [difference.said.after]
    elif any(result.predicted_tokens(difference)):
        return next(iter(difference.contexts), None)
    else:
        named = [t.token for t in difference.tokens[:TOKENS]]
    names = {token.strip() or token for token in named}
    if any(name.startswith("<start of ") for name in names):
        names.add("\n")  # the text of the position in front of an answer
    shown = (c for c in difference.contexts if (c.token.strip() or c.token) in names)
    return next(shown, None) if names else next(iter(difference.contexts), None)


def three_numbers(difference: Difference) -> str:
    """`strength 0.0418, on 3.12 % of the tokens, in 27 of 143 answers`."""
    if (changed := difference.changed_replies) is not None:
        third = f"in {changed.count} of {plural(changed.total, 'answer')}"
    elif difference.kl_share is not None:
        third = f"{_share(difference.kl_share)} of the output's change"
    else:
        third = f"in {plural(difference.documents, 'text')}"
    strength, density = number(difference.strength), percent(difference.density)
    return f"strength {strength}, on {density} of the tokens, {third}"


def reconciled(result: Result, side: Side) -> str:
    """`7 verified features: 2 belong to C1, 5 are too weak to count (below 0.0002)`; "" where all
    verified features of `side` belong to one difference, or none is verified.
    """
    verified = [f for f in result.features if f.side == side and f.verified]
    parts = []
    counted: set[str] = set()
    for d in result.differences:
        own = [f for f in verified if f.id in d.features]
        counted |= {f.id for f in own}
        if own:
            parts.append(f"{len(own)} {_belong(len(own))} to {visible(d.id)}")
    left = [f for f in verified if f.id not in counted]
    if not left and len(parts) < 2:
        return ""
    least, trained = result.least_strength, len(result.training.seeds)
    weak = sum(f.strength < least or trained == 1 for f in left)
    if weak:
        are = "is" if weak == 1 else "are"
        parts.append(f"{weak} {are} too weak to count (below {number(least)})")
    if rare := len(left) - weak:
        are = "is" if rare == 1 else "are"
        parts.append(f"{rare} {are} in too few of the {trained} dictionaries")
    return f"{plural(len(verified), 'verified feature')}: {', '.join(parts)}"


def _belong(count: int) -> str:
    return "belongs" if count == 1 else "belong"


def describe_said(difference: Difference) -> str:
    """`after 'refund' the candidate says 'As' (61 %), the baseline 'I' (44 %); 3.1 % of the change
    of the output lies where it fires`; "" where the predictions were not compared.
    """
    parts = []
    if (said := difference.said) is not None:
        parts.append(
            f"after {quoted([said.after])} the candidate says {quoted([said.candidate])} "
            f"({percent(said.candidate_probability)}), the baseline {quoted([said.baseline])} "
            f"({percent(said.baseline_probability)})"
        )
    if difference.kl_share is not None:
        share = _share(difference.kl_share)
        parts.append(f"{share} of the output's change (KL) lies where it fires")
    if (changed := difference.changed_replies) is not None:
        parts.append(f"changes what is said in {changed.count} of {changed.total} answers")
    return "; ".join(parts)


def describe_accounting(result: Result) -> str:
    """`Of the output's change (KL) 46 % lies where confirmed differences fire, 34 % is that the
    candidate is more confident in what both say, 20 % is unexplained`; "" without a comparison.
    """
    if (found := result.accounting) is None:
        return ""
    parts = [f"{_share(found.differences)} lies where confirmed differences fire"]
    if round(found.confidence, 3):
        temperature = None if result.output is None else result.output.temperature
        how = "more or less confident"
        if temperature is not None:
            sure = "more confident" if temperature > 1 else "less confident"
            how = f"{sure} (temperature {number(temperature)})"
        parts.append(
            f"{_share(found.confidence)} is that the candidate is {how} in what both models say"
        )
    parts.append(f"{_share(found.unexplained)} is unexplained")
    return f"Of the output's change (KL) {', '.join(parts)}"


def _share(value: float) -> str:
    """In percent, no finer than a tenth of one."""
    return percent(round(value, 3))


def describe_position(position: ChangedPosition, width: int) -> str:
    """`baseline ' Paris' (24 %), candidate ' The' (51 %) after …of France?`, `width` columns."""
    said = (
        f"baseline {quoted([position.baseline_top])} ({percent(position.baseline_probability)}), "
        f"candidate {quoted([position.candidate_top])} "
        f"({percent(position.candidate_probability)}) after …"
    )
    before = visible(position.before)
    return said + tail(before, max(0, width - columns(said)))


SLICES, FIRING = 5, 3
"""Drifted slices and differences that are named of a change since the last sign-off."""


def workflow_parts(found: Workflow) -> tuple[tuple[str, str], ...]:
    """The model effect, the workflow effect and their interaction, each by its name, in words."""

    def signed(value: float) -> str:
        return f"+{number(value)}" if value > 0 else number(value)

    model = f"loss {estimate(found.loss.model, signed)}"
    together = f"loss {estimate(found.loss.interaction, signed)}"
    if found.kl is not None:
        model += f", KL {estimate(found.kl.model)}"
        together += f", KL {estimate(found.kl.interaction, signed)}"
    workflow = f"loss {estimate(found.loss.workflow, signed)} nats a token"
    drifted = ", ".join(map(_drifted, found.slices[:SLICES]))
    if len(found.slices) > SLICES:
        drifted += f" and {len(found.slices) - SLICES} more"
    changed = [
        f"{f.difference} fires on {percent(f.today.value)} of the tokens instead of "
        f"{percent(f.reference.value)}"
        for f in found.firing
        if f.change.low is not None
        and f.change.high is not None
        and not f.change.low <= 0.0 <= f.change.high
    ]
    drift = f"slices that have drifted: {drifted}" if drifted else "no slice has drifted"
    beyond = [f"{together} nats a token beyond the two", *changed[:FIRING]]
    signed_off = "the candidate instead of the baseline, on the texts of the last sign-off"
    return (
        ("model", f"{model} nats a token: {signed_off}"),
        ("workflow", f"{workflow}: today's texts instead of those, with the baseline; {drift}"),
        ("together", "; ".join(beyond)),
    )


def describe_workflow(found: Workflow) -> str:
    """The three in one line."""
    return ". ".join(f"{name}: {text}" for name, text in workflow_parts(found))


def _drifted(found: DriftedSlice) -> str:
    name = visible(found.name)
    if found.drift == "texts" and found.loss is not None:
        return f"{name} (other texts, loss {estimate(found.loss)})"
    shares = f"{percent(found.today)} of the documents instead of {percent(found.reference)}"
    return f"{name} ({found.drift}, {shares})" if found.drift != "share" else f"{name} ({shares})"
