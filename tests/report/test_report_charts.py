"""The charts of the report's page show the numbers that were measured, in their proportions."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest

from pytest_crossdiff.report.document import Report
from support.results import make_difference, make_model, make_result


def test_each_dictionary_has_its_curve_which_falls_as_its_loss_did(opened):
    losses = ((4.0, 1.0, 0.5, 0.25), (3.0, 2.0, 0.6, 0.1))
    result = make_result()
    training = dataclasses.replace(result.training, seeds=(0, 1), loss=losses)
    page = opened(Report.of(dataclasses.replace(result, training=training)))
    page.unfold()
    chart = page.page.get_by_role("img", name="Training loss over 500 steps")
    assert "at the end 0.25, 0.1" in (chart.get_attribute("aria-label") or "")
    curves = chart.locator("polyline").all()
    places = [
        [tuple(map(float, pair.split(","))) for pair in points.split()]
        for curve in curves
        if (points := curve.get_attribute("points"))
    ]
    assert [len(points) for points in places] == [4, 4]
    heights = [y for points in places for _, y in points]
    logarithms = [math.log10(loss) for of_one in losses for loss in of_one]
    top, bottom = min(heights), max(heights)
    for y, value in zip(heights, logarithms, strict=True):
        share = (math.log10(4.0) - value) / (math.log10(4.0) - math.log10(0.1))
        assert y == pytest.approx(top + share * (bottom - top), abs=0.11)
    assert all(a < b for points in places for (a, _), (b, _) in itertools.pairwise(points))


def test_the_coverage_of_either_model_is_a_bar_with_its_number(opened):
    result = make_result(
        baseline=make_model("org/old", coverage=0.97),
        candidate=make_model("org/new", coverage=0.413),
    )
    page = opened(Report.of(result))
    page.unfold()
    rows = page.texts("[aria-label^='Tokens and characters that are aligned'] tbody tr")
    assert rows[:3] == [
        "tokens aligned 97 % 41.3 %",
        "characters aligned 97.5 % 97.5 %",
        "tokens read 1,100 1,100",
    ]
    bars = page.page.locator(
        "[aria-label^='Tokens and characters that are aligned'] tr:first-child .bar"
    )
    shares = bars.evaluate_all("all => all.map((b) => b.style.getPropertyValue('--w'))")
    assert [float(share.rstrip("%")) for share in shares] == pytest.approx([97.0, 41.3])


def test_the_histogram_of_a_difference_has_a_bar_for_each_part_of_its_range(opened):
    counts = (40, 20, 0, 10)
    difference = dataclasses.replace(make_difference(), histogram=counts)
    page = opened(Report.of(make_result(difference)), "#/difference/C1")
    chart = page.page.get_by_role("img", name="Histogram of the activation where it fires: 70")
    heights = chart.locator("rect").evaluate_all(
        "all => all.map((bar) => Number(bar.getAttribute('height')))"
    )
    assert [height / heights[0] for height in heights] == pytest.approx([1, 0.5, 0, 0.25])
