"""The report's page in a browser: what a reader sees and does there."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import TYPE_CHECKING

import pytest
from test_report_schema import checker

from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.check import Check, SideCheck, evaluate_budgets
from pytest_crossdiff.report import html
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.layers import LayerSide, MeasuredLayer
from pytest_crossdiff.report.write import render
from pytest_crossdiff.results.difference import Said
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.results.tests import FiringShare, RecordedText, TestAtRisk, TestsAtRisk
from pytest_crossdiff.settings import Settings, fields
from support.large_results import large
from support.replies import make_pair, make_replies
from support.results import (
    make_context,
    make_difference,
    make_entry,
    make_feature,
    make_model,
    make_recognised,
    make_recognition,
    make_result,
)

if TYPE_CHECKING:
    from support.browser import Opened

Open = "Callable[..., Opened]"
AT_RISK = TestsAtRisk(
    (
        TestAtRisk(
            "test_tone[*]",
            "baseline",
            (FiringShare("C1", "candidate", "block 6 of 12", 0.12, "on ' is'"),),
            (RecordedText("candidate", (("user", "Hello?"),), "No."),),
        ),
    ),
    pairs=9,
    read=8,
    tested=2,
)
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "'\"><svg onload=alert(3)>",
    "\u202eabc\u2066\u200f RTL override",
    "مرحبا بالعالم שלום",
    "x" * 5_000,
    "👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿 e\u0301",
    "\x00\x07\x1b[31m\x7f\u2028\u2029\ufeff",
    "javascript:alert(4)",
    "$data ${title} {{x}}",
    "\ud800",
)


@functools.cache
def full(features: int = 60, differences: int = 12) -> Report:
    result = large(features, differences)
    settings = Settings(
        max_candidate_only=9, sources={"max_candidate_only": "--crossdiff-max-candidate-only"}
    )
    report = Report.of(
        result,
        settings=settings,
        accepted=make_recognition(
            make_recognised("C1", reason="it was asked for", description="fires on ' pods'"),
            make_recognised("B1", "grown", 2.5, author="Ben", reason="for now"),
            missing=(make_entry(id="b-2", seen_as="B4", description="near the words whale"),),
        ),
    )
    check = evaluate_budgets(report.result, report, Budgets.configured(settings))
    check = dataclasses.replace(check, test="test_it.py::test_it")
    return dataclasses.replace(report, checks=(check,))


def layers(*keys: str) -> tuple[MeasuredLayer, ...]:
    return tuple(
        MeasuredLayer(
            key,
            (
                LayerSide("baseline", 3 * i + 2, 9, 1, 0, 0.02, 0.9, 0.001),
                LayerSide("candidate", 3 * i + 3, 9, 4, 2, 0.3, 0.8, None),
            ),
            ("exceeded",),
            "it is #2.html",
        )
        for i, key in enumerate(keys)
    )


class TestOverview:
    def test_it_begins_with_the_verdict_its_budgets_and_where_they_were_set(self, opened):
        page = opened(full())
        assert page.texts("h1") == ["✗Over budget"]
        candidate, baseline = page.texts(".check tbody tr")
        counts = "and 1 possible · budget"
        assert candidate.startswith(
            f"● only in the candidate (learned) 4 {counts} 9 · ✓ within --crossdiff"
        )
        assert baseline.startswith(
            f"◆ only in the baseline (lost) 5 {counts} 0 · ✗ over default of cross"
        )
        assert candidate.endswith("0.087 · no budget")
        new, lost = (line.partition(";")[0] for line in page.texts(".gist li"))
        rest = "and 1 possible one, and 1 accepted one"
        assert (
            new
            == f"● 4 new differences only in the candidate (learned), joint strength 0.087, {rest}"
        )
        assert lost == (
            "◆ 5 differences only in the baseline (lost), joint strength 0.21, and 1 possible one"
        )
        assert page.page.title() == "old → new"

    def test_an_undecided_verdict_says_what_would_decide_it(self, opened):
        side = SideCheck("candidate", 0, 2, 0.0, 0.01, 0, None, "", "", False, False, True)
        advice = "7 would decide it: `pytest --crossdiff-seeds=7`", "more text"
        check = Check("", "inconclusive", False, "", (side,), advice)
        page = opened(Report.of(make_result(), checks=[check]))
        assert page.texts("h1") == ["?Inconclusive"]
        assert page.texts(".check li") == [
            "7 would decide it: pytest --crossdiff-seeds=7",
            "more text",
        ]
        assert page.texts(".check .command") == ["pytest --crossdiff-seeds=7"]
        (row,) = page.texts(".check tbody tr")
        assert "0 and 2 possible · budget 0 · ? undecided" in row
        assert "within" not in row

    def test_it_says_how_sure_one_can_be(self, opened):
        text = " ".join(opened(full()).texts("main"))
        assert "0 differences found between the baseline and itself" in text
        assert "is detected with 80 % probability" in text

    def test_it_shows_the_distance_of_a_model_and_the_exclusivity_it_requires(self, opened):
        model = make_model("org/new", unmapped=0.4, required_exclusivity=0.97)
        page = opened(Report.of(make_result(candidate=model)))
        page.unfold()
        (card,) = page.texts(".card.candidate")
        assert "required exclusivity 0.97" in card
        assert "variance that a linear map from the other model leaves) 40 %" in card

    def test_it_lists_what_was_accepted_before_with_what_became_of_it(self, opened):
        page = opened(full())
        rows = page.texts("section:has(h2:text('Accepted before')) tbody tr")
        assert rows == [
            "C1 accepted fires on ' pods' 0.01 it was asked for Ann, 2026-01-02 –",
            "B1 grown – 0.01 for now Ben, 2026-01-02 –",
            "B4 missing near the words whale 0.01 wanted Ann, 2026-01-02 –",
        ]
        page.page.get_by_role("link", name="C1").last.click()
        page.page.locator("article h1").wait_for()
        assert "When it was accepted: fires on ' pods'" in page.texts("article").pop()

    def test_what_was_not_measured_is_said_so(self, opened):
        bare = dataclasses.replace(
            make_difference(), contexts=(), tokens=(), histogram=(), firing=(), features=()
        )
        page = opened(Report.of(make_result(bare)))
        page.unfold()
        assert page.texts("h1") == ["·Measured; no verdict was asked for"]
        assert page.texts("main").pop().count("not measured") >= 3
        page.go("#/difference/C1")
        assert "No context was kept." in page.texts("main").pop()
        without = make_difference(
            contexts=(dataclasses.replace(make_context(), spans=(), other=0.0),)
        )
        page = opened(Report.of(make_result(without)), "#/difference/C1")
        assert page.texts(".context .who") == [
            "● candidate: activation 2",
            "◆ baseline: not measured",
        ]

    def test_nothing_found_is_no_empty_page(self, opened):
        page = opened(Report.of(make_result()))
        assert "No feature of either model was tested as a difference." in page.texts("main").pop()

    def test_every_setting_stands_there_with_its_source(self, opened):
        page = opened(full())
        page.unfold()
        rows = page.texts(".settings tbody tr")
        assert len(rows) == len(fields())
        assert rows[0].startswith("crossdiff_max_candidate_only 9 --crossdiff-max-candidate-only")
        assert any(row.startswith("crossdiff_k 24 default active features") for row in rows)


class TestStrongest:
    """Below the verdict: the three strongest differences, complete."""

    def test_each_has_a_sentence_a_text_both_replies_and_the_command(self, opened):
        said = Said("Oslo", "Res", 0.5, "I'm", 0.75, 3, 4)
        contexts = make_context(" Rome"), make_context(" Oslo", "I live in")
        found = [
            dataclasses.replace(make_difference("C1", contexts=contexts), said=said),
            make_difference("B1", "baseline", strength=0.02, tokens=("Bonn",)),
            make_difference("C2", strength=0.001, certainty="possible"),
            make_difference("C3", strength=0.0001),
        ]
        replies = make_replies(make_pair(1, "Rest.", "I'm sorry.", 9.0))
        check = Check("test_it.py::test_it", "exceeded", False, "", ())
        report = Report.of(make_result(*found, replies=replies), checks=[check])
        page = opened(report)
        page.unfold()
        cards = page.texts(".strongest .card")
        assert [card.split(" ")[0] for card in cards] == ["B1", "C1", "C3"]  # confirmed ones first
        assert "◆ only in the baseline (lost)" in cards[0]
        assert (
            "After 'Oslo' the candidate says 'I'm' (75 %), the baseline 'Res' (50 %)." in cards[1]
        )
        elsewhere = "It is strongest here, at another token:"
        assert [elsewhere in card for card in cards] == [True, False, False]
        assert (
            "Asked: What helps against ailment 1? ◆ baseline replies Rest. ● candidate" in cards[1]
        )
        assert page.texts(".strongest .card:nth-child(2) mark") == ["Oslo"]
        assert "strength 0.01, on 1.2 % of the tokens, in 12 texts" in cards[1]
        assert page.texts(".strongest .command") == [
            f"pytest test_it.py::test_it --crossdiff-accept={name} "
            '--crossdiff-reason="why this is wanted"'
            for name in ("B1", "C1", "C3")
        ]

    def test_what_is_accepted_is_not_among_them(self, opened):
        page = opened(full())
        names = [card.split(" ")[0] for card in page.texts(".strongest .card")]
        assert len(names) == 3
        assert "C1" not in names

    def test_methods_and_features_are_folded_away(self, opened):
        page = opened(full())
        for selector in (".browse", ".settings", ".card .facts"):
            assert not page.page.locator(selector).first.is_visible()


class TestAtRisk:
    def test_each_test_stands_beside_the_differences_and_texts(self, opened):
        page = opened(
            dataclasses.replace(Report.of(make_result(make_difference())), at_risk=AT_RISK)
        )
        (row,) = page.texts("section:has(h2:text('Tests that one model passes')) tbody tr")
        assert row == (
            "test_tone[*] ◆ baseline C1 (block 6 of 12) fires on 12 % of its tokens: on ' is' "
            "Hello? → candidate: No."
        )


class TestLayers:
    def test_the_pair_s_other_layers_are_compared_and_linked(self, opened, tmp_path):
        report = dataclasses.replace(full(), layers=layers("key", "other"))
        page = opened(report)
        here, other = page.texts("[aria-labelledby=s-layers-compared] tbody tr")
        assert here.startswith(
            "block 2 → 3 of 9 this report ✗ Over budget 4 and 2 possible strength 0.3"
        )
        assert other == (
            "block 5 → 6 of 9 ✗ Over budget 4 and 2 possible strength 0.3 "
            "1 strength 0.02 90 % → 80 % limit of detection 0.001 → –"
        )
        link = page.page.get_by_role("link", name="block 5 → 6 of 9")
        assert link.evaluate("link => link.href") == (tmp_path / "it is #2.html").as_uri()

    def test_one_layer_is_no_comparison(self, opened):
        assert "Layers compared" not in opened(full()).texts("main").pop()


class TestMap:
    def test_hovering_names_a_point_and_clicking_opens_it(self, opened):
        page = opened(full())
        point = page.page.locator(".points .point").last
        point.hover()
        (tip,) = page.texts("#tip")
        name = tip.partition(" ")[0]
        assert name[0] in "BC"
        assert " strength 0." in tip
        point.click()
        page.page.locator("article h1").wait_for()
        assert page.texts("h1")[0].startswith(f"{name}: ")

    def test_accepted_ones_are_hollow_and_possible_ones_dashed(self, opened):
        page = opened(full())

        def style(state: str, name: str) -> str:
            point = page.page.locator(f".points .{state}").first
            return point.evaluate(f"node => getComputedStyle(node).{name}")

        assert style("accepted", "fillOpacity") == "0"
        assert float(style("confirmed", "fillOpacity")) > 0.5
        assert style("confirmed", "strokeDasharray") == "none"
        assert style("possible", "strokeDasharray") != "none"
        legend = page.texts(".legend li")
        assert any(text.startswith("hollow: accepted") for text in legend)
        assert len(page.page.locator(".points .point").all()) == 12  # differences, not features

    def test_the_legend_has_nothing_that_is_not_on_the_map(self, opened):
        page = opened(Report.of(make_result(make_difference())))
        assert page.texts(".legend li") == [
            "only in the candidate (learned)",
            "larger: on more tokens",
        ]

    @pytest.mark.parametrize(
        ("weakest", "edge"), [(3e-3, "0.001"), (1e-9, "≤ 1e−6"), (0, "≤ 0.01")]
    )
    def test_what_is_very_weak_stands_at_its_lower_edge(self, opened, weakest, edge):
        found = make_difference("C1", strength=0.02), make_difference("C2", strength=weakest)
        page = opened(Report.of(make_result(*found)))
        ticks = page.page.locator(".map .tick").all_text_contents()
        assert edge in ticks
        assert sum("≤" in tick for tick in ticks) == edge.startswith("≤")


class TestTable:
    def numbers(self, page: Opened) -> list[float]:
        return [float(t) for t in page.texts(".browse tbody td:nth-child(4)")]

    def test_it_is_sorted_by_strength_and_by_what_is_pressed(self, opened):
        page = opened(full())
        page.unfold()
        assert self.numbers(page) == sorted(self.numbers(page), reverse=True)
        button = page.page.get_by_role("button", name="strength")
        button.click()
        assert self.numbers(page) == sorted(self.numbers(page))
        assert page.page.locator("[aria-sort=ascending]").inner_text().startswith("strength")
        page.page.get_by_role("button", name="id", exact=True).press("Enter")
        ids = page.texts(".browse tbody th")
        assert ids == [f"{side}{n}" for side in "BC" for n in range(1, 7)]

    def test_it_is_filtered_by_side_and_state_and_searched(self, opened):
        page = opened(full())
        page.unfold()
        page.page.get_by_label("Side").select_option("candidate")
        assert page.texts(".count") == ["6 of 12 differences"]
        assert {i[0] for i in page.texts(".browse tbody th")} == {"C"}
        page.page.get_by_label("State").select_option("accepted")
        assert page.texts(".browse tbody th") == ["C1"]
        page.page.get_by_label("Side").select_option("")
        page.page.get_by_label("State").select_option("grown")
        assert page.texts(".browse tbody th") == ["B1"]
        page.page.get_by_label("State").select_option("")
        page.page.get_by_label("Search").fill("ASKED for")
        assert page.texts(".browse tbody th") == ["C1"]
        page.page.get_by_label("Search").fill("no such text anywhere")
        assert page.texts(".count") == ["0 of 12 differences"]

    def test_what_was_chosen_is_there_again_after_a_look_at_a_difference(self, opened):
        page = opened(full())
        page.unfold()
        page.page.get_by_label("Side").select_option("baseline")
        page.page.locator(".browse").get_by_role("link", name="B2", exact=True).click()
        page.page.go_back()
        assert page.page.get_by_label("Side").input_value() == "baseline"
        assert page.texts(".count") == ["6 of 12 differences"]

    def test_all_tested_features_are_there_with_the_reason_they_were_rejected(self, opened):
        page = opened(full())
        page.unfold()
        page.page.get_by_role("button", name="All tested features (60)").click()
        assert len(page.texts(".browse tbody tr")) == 25
        page.page.get_by_role("button", name="Show all 60").click()
        assert len(page.texts(".browse tbody tr")) == 60
        page.page.get_by_label("State").select_option("rejected")
        assert page.texts(".count") == ["48 of 60 features"]
        assert all("predicts it too: R²" in t for t in page.texts(".browse tbody td.text"))


class TestDifference:
    def test_a_deep_link_opens_it_with_its_contexts_side_by_side(self, opened):
        page = opened(full(), "#/difference/C3")
        assert page.texts("h1")[0].startswith("C3: ‘")
        assert page.page.title() == "C3 · old → new"
        assert len(page.texts(".context")) == 8
        own, other = page.texts(".context:first-child .ctx")
        assert own == other
        shades = page.page.locator(".context:first-child mark").evaluate_all(
            "nodes => nodes.map(n => parseFloat(n.style.getPropertyValue('--a')))"
        )
        assert shades[0] == 100
        assert shades[1] < 60
        for title in ("Tokens", "Activation", "Effect on the output", "Description"):
            assert page.page.get_by_role("heading", name=title, exact=True).is_visible()

    def test_spans_are_counted_in_characters_whatever_the_script(self, opened):
        context = make_context(" 👍🏽", "😀 naïve", " после")
        page = opened(
            Report.of(make_result(make_difference(contexts=(context,)))), "#/difference/C1"
        )
        assert page.page.locator("mark").first.text_content() == " 👍🏽"

    def test_an_accepted_one_says_by_whom_and_why(self, opened):
        page = opened(full(), "#/difference/C1")
        said = "Accepted by Ann on 2026-01-02: it was asked for."
        assert page.texts(".note") == [f"{said} When it was accepted: fires on ' pods'"]
        page.go("#/difference/B1")
        (note,) = page.texts(".note")
        assert note.endswith("It counts again: it is 2.5 times as strong as what was accepted.")

    def test_one_that_counts_says_how_to_accept_it(self, opened):
        page = opened(full(), "#/difference/C3")
        assert (
            "pytest test_it.py::test_it --crossdiff-accept=C3 --crossdiff-reason"
            in page.texts("article").pop()
        )
        page.go("#/difference/C1")
        assert "--crossdiff-accept" not in page.texts("article").pop()

    def test_a_possible_one_says_why_it_is_not_confirmed(self, opened):
        page = opened(full(), "#/difference/C2")
        assert page.texts(".note") == ["Possible, not confirmed: in 1 of 3 dictionaries."]

    def test_a_tested_feature_has_a_page_and_so_has_what_is_not_there(self, opened):
        page = opened(full(), "#/feature/0.1")
        assert page.texts("h1") == ["Feature 0.1"]
        page.go("#/difference/%E0%A4%A")
        assert page.texts("h1") == ["Not in this report"]

    def test_a_file_s_size_is_counted_in_bytes_whatever_the_script(self, monkeypatch):
        contexts = tuple(make_context("语" * 400) for _ in range(8))
        report = Report.of(make_result(make_difference(contexts=contexts)))
        empty = len(html.page(Report.of(make_result())).encode())
        monkeypatch.setattr(html, "LARGEST", 9_000)
        assert len(html.page(report).encode()) < empty + 9_000

    def test_contexts_that_would_make_the_file_too_large_are_left_out_and_said_so(
        self, opened, monkeypatch
    ):
        monkeypatch.setattr(html, "LARGEST", 66_000)
        page = opened(full(), "#/difference/C3")
        left = len(page.texts(".context"))
        assert 0 < left < 8
        assert f"{8 - left} more contexts in report.json" in page.texts("main").pop()


class TestKeyboard:
    def test_the_map_is_one_stop_in_which_arrows_lead_and_enter_opens(self, opened):
        page = opened(full())
        points = page.page.get_by_role("listbox")
        assert points.get_by_role("option").count() == 12
        page.page.get_by_role("button", name="Colours").focus()
        stops = []
        while not points.evaluate("node => node === document.activeElement"):
            page.page.keyboard.press("Tab")
            stops.append(page.page.evaluate("document.activeElement.tagName"))
            assert len(stops) < 20
        page.page.keyboard.press("ArrowRight")
        page.page.keyboard.press("ArrowLeft")
        name = page.page.locator(".point.active").get_attribute("aria-label")
        assert page.page.locator("#tip").is_visible()
        page.page.keyboard.press("Enter")
        page.page.locator("article h1").wait_for()
        assert name.startswith((page.texts("h1")[0].partition(":")[0], page.texts("h1")[0]))

    def test_focus_goes_to_the_heading_of_a_page_that_opens(self, opened):
        page = opened(full())
        page.unfold()
        page.page.locator(".browse").get_by_role("link", name="B2", exact=True).press("Enter")
        page.page.locator("article h1:focus").wait_for()

    def test_the_skip_link_leads_to_the_content(self, opened):
        page = opened(full())
        page.page.keyboard.press("Tab")
        page.page.keyboard.press("Enter")
        assert page.page.evaluate("document.activeElement.id") == "main"
        assert page.texts("h1") == ["✗Over budget"]

    def test_colours_can_be_chosen_and_stay(self, opened):
        page = opened(full(), color_scheme="light")
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.page.evaluate(background)
        button = page.page.get_by_role("button", name="Colours: auto")
        button.press("Enter")
        page.page.get_by_role("button", name="Colours: light").press("Enter")
        assert page.page.evaluate(background) != light
        page.go("")  # another process may have stored the choice a moment later
        page.page.wait_for_function("localStorage.getItem('crossdiff-theme') === 'dark'")
        page.go("")
        page.page.get_by_role("button", name="Colours: dark").wait_for()


class TestAccess:
    @pytest.mark.parametrize("place", ["", "#/difference/C1", "#/feature/0.1"])
    def test_axe_finds_nothing_serious_in_light_or_dark(self, opened, place):
        report = dataclasses.replace(full(20, 12), layers=layers("key", "other"))
        page = opened(report, place, color_scheme="light")
        page.unfold()
        assert page.findings() == []
        page.page.emulate_media(color_scheme="dark")
        assert page.findings("color-contrast") == []

    def test_nor_on_a_phone_where_nothing_is_wider_than_the_screen(self, opened):
        report = dataclasses.replace(full(20, 12), layers=layers("key", "other"))
        page = opened(report, viewport={"width": 390, "height": 844})
        assert page.findings() == []
        for place in ("", "#/difference/C1", "#/feature/0.1"):
            page.go(place)
            assert page.page.evaluate("document.documentElement.scrollWidth") == 390

    def test_on_paper_there_are_no_controls(self, opened):
        page = opened(full())
        page.page.emulate_media(media="print")
        assert not page.page.get_by_label("Search").is_visible()
        assert page.page.locator("h1").is_visible()

    def test_without_scripts_the_gist_is_there(self, opened):
        page = opened(full(), java_script_enabled=False)
        assert "❌ Over budget. Differences: 4 only in the candidate" in page.texts("body").pop()


class TestHostileTexts:
    """Whatever a corpus, a tokenizer or a model's name holds stays text."""

    @pytest.fixture
    def report(self) -> Report:
        context = [make_context(text, text, text) for text in HOSTILE]
        difference = make_difference(
            "C</script>1", tokens=HOSTILE, contexts=tuple(context), certainty="possible"
        )
        difference = dataclasses.replace(
            difference, label=HOSTILE[0], doubt=HOSTILE[1], features=("0.1",)
        )
        accepted = make_recognition(
            make_recognised(
                difference.id, author=HOSTILE[0], reason=HOSTILE[1], description=HOSTILE[2]
            ),
            missing=(make_entry(seen_as=HOSTILE[1], description=HOSTILE[0]),),
        )
        features = (make_feature(rejected=""), make_feature(2, rejected=HOSTILE[0]))
        result = make_result(
            difference,
            baseline=make_model(HOSTILE[0]),
            candidate=make_model(HOSTILE[3]),
            corpus=HOSTILE[1],
            features=features,
        )
        return Report.of(
            result, accepted=accepted, checks=[Check(HOSTILE[0], "x<y", False, HOSTILE[1], ())]
        )

    @pytest.mark.parametrize("place", ["", "#/difference/C%3C%2Fscript%3E1", "#/feature/0.2"])
    @pytest.mark.parametrize("width", [1280, 390])
    def test_on_every_page(self, opened, report, place, width):
        page = opened(report, place, viewport={"width": width, "height": 800})
        page.page.wait_for_selector("h1")
        assert page.page.locator("main img, main script, main svg[onload]").count() == 0
        assert page.page.locator("script").count() == 2
        text = page.page.locator("body").inner_text()
        assert not set(text) & set("\u202e\u2066\u200f\x00\x07\x1b\x7f\u2028\u2029\ufeff")
        assert page.page.evaluate("document.documentElement.scrollWidth") == width

    def test_and_can_be_read(self, opened, report):
        page = opened(report, "#/difference/C%3C%2Fscript%3E1")
        text = page.page.locator("main").inner_text()
        escapes = ("\\u{202e}abc\\u{2066}", "\\x1b[31m", "\\u{2028}")
        for shown in (*HOSTILE[:2], "مرحبا بالعالم", "${title}", *escapes):
            assert shown in text, shown


def test_what_a_real_run_measured_is_drawn_and_valid(opened, measured):
    (path,) = (measured / "cache" / "result").rglob("result.json")
    result = Result.from_json(path.read_text("utf-8"))
    report = Report.of(result)
    checker().validate(json.loads(render(report, "json")))
    page = opened(report)
    for difference in result.differences:
        page.go(f"#/difference/{difference.id}")
        assert page.page.locator(".context").count() == len(difference.contexts) > 0
        texts = page.texts(".context .ctx")
        assert texts[::2] == texts[1::2]
        assert page.page.locator(".context mark").count() >= 2 * len(difference.contexts)


def test_a_thousand_features_are_a_small_file_that_opens_in_a_second(opened, tmp_path):
    report = full(1000, 200)
    page = opened(report)
    assert page.page.locator(".points .point").count() == 200
    (path,) = tmp_path.glob("*.html")
    assert path.stat().st_size < 5_000_000
