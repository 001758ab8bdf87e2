"""A result as large and as full as they come: every field filled, every number made up."""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING

from pytest_crossdiff.results.controls import Controls, NullControl, PlantedSignal
from pytest_crossdiff.results.difference import Context, Description, Effect, Span, TokenCount
from pytest_crossdiff.results.result import Training
from support.results import make_difference, make_feature, make_result

if TYPE_CHECKING:
    from pytest_crossdiff.results.difference import Difference, Feature
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.sides import Side

WORDS = """the of and a to in is that it was for on are with as his they be at one have this from by
hot but some what there we can out other were all your when up use word how said each she which do
their time if will way about many then them would write like these her long make thing see him two
has look more day could go come did my sound no most number who over know water than call first
people may down side been now find any new work part take get place made live where after back
little only round man year came show every good me give our under name very through just form much
great think say help low line before turn cause same mean differ move right boy old too does tell
sentence set three want air well also play small end put home read hand port large spell add even
land here must big high such follow act why ask men change went light kind off need house picture
try us again animal point mother world near build self earth father""".split()  # noqa: SIM905
SEEDS = (0, 1, 2)


def large(features: int = 1000, differences: int = 200, seed: int = 0) -> Result:
    """So many features, of which so many differences are made, in English-looking text."""
    draw = random.Random(seed)
    found = tuple(_difference(draw, i, features) for i in range(differences))
    ids = {name for d in found for name in d.features}
    tested = tuple(_feature(draw, i, f"0.{i}" in ids) for i in range(features))
    side_of = {name: d.side for d in found for name in d.features}
    tested = tuple(dataclasses.replace(f, side=side_of.get(f.id, f.side)) for f in tested)
    planted_signals = tuple(
        PlantedSignal(
            side, strength, density, strength, strength * 0.95 if strength > 0.001 else 0.0
        )
        for side in ("baseline", "candidate")
        for strength in (0.016, 0.008, 0.004, 0.002, 0.001, 0.0005)
        for density in (0.002, 0.02)
    )
    result = make_result(
        *found,
        features=tested,
        baseline_strength=0.21,
        candidate_strength=0.26,
        controls=Controls(planted_signals, NullControl(0, 128, 500)),
    )
    loss = tuple(tuple(3 * 0.98**i + 0.4 + 0.02 * s for i in range(200)) for s in SEEDS)
    training = Training("dfc", 900, 50, 50, 24, 2000, SEEDS, (2, 0, 5), loss)
    return dataclasses.replace(
        result,
        training=training,
        settings={"exclusivity": "0.5", "layer": "0.5", "k": "24"},
        versions={"pytest-crossdiff": "0.1.0", "torch": "2.13.0", "python": "3.11.2"},
    )


def _feature(draw: random.Random, i: int, verified: bool) -> Feature:
    side: Side = draw.choice(("baseline", "candidate"))
    other = "baseline" if side == "candidate" else "candidate"
    exclusivity = draw.uniform(0.55, 0.98) if verified else draw.gauss(0.3, 0.18)
    return make_feature(
        i,
        side,
        exclusivity=exclusivity,
        strength=10 ** draw.gauss(-3.2, 0.5),
        density=10 ** draw.gauss(-2.2, 0.5),
        rejected="" if verified else f"the {other} predicts it too: R² {draw.random():.2f}",
    )


def _difference(draw: random.Random, i: int, features: int) -> Difference:
    side: Side = "candidate" if i % 2 else "baseline"
    possible = i % 7 == 3
    contexts = tuple(
        _context(draw, band) for band in ("top",) * 5 + ("50-75 %", "25-50 %", "0-25 %")
    )
    made = make_difference(
        f"{side[0].upper()}{i // 2 + 1}",
        side,
        strength=10 ** draw.gauss(-2.8, 0.5),
        tokens=tuple(draw.sample(WORDS, 6)),
        contexts=contexts,
        certainty="possible" if possible else "confirmed",
    )
    step = max(1, features // 210)
    return dataclasses.replace(
        made,
        seeds=SEEDS[:1] if possible else SEEDS,
        features=(f"0.{i * step}",),
        exclusivity=draw.uniform(0.6, 0.97),
        density=10 ** draw.gauss(-2.2, 0.5),
        tokens=tuple(TokenCount(t.token, 5 + n, 9 + 2 * n) for n, t in enumerate(made.tokens)),
        histogram=tuple(int(200 * 0.8**n) for n in range(20)),
        firing=made.firing * 30,
        description=Description(
            words=tuple((w, draw.uniform(2, 40)) for w in draw.sample(WORDS, 6)),
            promoted=tuple(draw.sample(WORDS, 6)),
            suppressed=tuple(draw.sample(WORDS, 6)),
            positions=tuple(draw.uniform(0.05, 0.2) for _ in range(10)),
            slices={"code": 0.01, "news": 0.02},
        ),
        effect=Effect(
            "kl",
            draw.uniform(0.01, 1),
            0.001,
            120,
            500,
            "Once",
            " upon a",
            " a maple",
            (" maple", " syrup"),
            (" upon",),
        )
        if i % 3
        else None,
        latent_scaling=(0.1, 0.2),
    )


def _context(draw: random.Random, band: str) -> Context:
    words = [f" {draw.choice(WORDS)}" for _ in range(40)]
    text, spans, at = "".join(words), [], 0
    for n, word in enumerate(words):
        fires = 3.0 if n == 20 else draw.choice((0.0, 0.0, 0.0, draw.random()))
        spans.append(Span(at, at + len(word), fires, fires * draw.random() * 0.5))
        at += len(word)
    before, token = "".join(words[:20]), words[20]
    after = text[len(before) + len(token) :]
    return Context(
        f"speeches/{draw.randrange(400)}.txt", before, token, after, 3.0, 0.6, band, tuple(spans)
    )
