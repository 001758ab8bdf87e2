"""What `--crossdiff-accept` asks for, what it makes of a result, and when it is refused."""

from __future__ import annotations

import dataclasses
import datetime
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.gate import accepted_file
from pytest_crossdiff.gate.accept_request import AcceptRequest
from pytest_crossdiff.gate.acceptance import AcceptanceRecord
from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.new_entries import EntryMaker, Proposal
from pytest_crossdiff.gate.recognition import recognise
from pytest_crossdiff.gate.slot import Slot, portable
from pytest_crossdiff.gate.verdict import compute_verdict
from pytest_crossdiff.results.difference import Firing
from pytest_crossdiff.results.replies import Share
from pytest_crossdiff.settings import Settings
from support.results import make_context, make_difference, make_model, make_result

TODAY = datetime.date(2026, 11, 30)
REQUEST = AcceptRequest(("C1",), "wanted", "Ann", None)
FOUR = tuple(make_context(f" word{n}", "x" * 200) for n in range(4))
BUDGETS = Budgets.configured(Settings())
RESULT = make_result(
    make_difference("C1", strength=0.02, tokens=(" a", "b\n"), contexts=FOUR),
    make_difference("B1", "baseline"),
    candidate=make_model("/somewhere/v2"),
)


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


def config(folder=Path("/"), **given):
    names = ("accept", "reason", "author", "expires")
    option = {f"crossdiff_{name}": given.get(name) for name in names}
    return SimpleNamespace(
        option=SimpleNamespace(**option), rootpath=folder, inipath=folder / "pytest.ini"
    )


def asked(**given):
    complete = {"accept": "C1", "reason": "wanted", "author": "Ann"}
    return AcceptRequest.of(config(**complete | given), TODAY)


class TestTheRequest:
    def test_nothing_is_asked_for_without_the_flag(self):
        assert AcceptRequest.of(config(), TODAY) is None

    def test_ids_are_named_once_and_spaces_are_left_out(self):
        found = asked(accept=" C2,C1 ,,C2", reason=" why\n", author=" Ann ")
        assert found == AcceptRequest(("C2", "C1"), "why", "Ann", None)

    @pytest.mark.parametrize("day", ["2026-11-30", " 2027-01-01 "])
    def test_its_last_day_may_be_today(self, day):
        assert asked(expires=day).expires == datetime.date.fromisoformat(day.strip())

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"accept": None, "reason": "x"}, "--crossdiff-reason belongs to --crossdiff-accept"),
            ({"accept": None, "author": "x"}, "--crossdiff-author belongs to --crossdiff-accept"),
            ({"accept": None, "expires": "x"}, "--crossdiff-expires belongs to"),
            ({"accept": " ,"}, "names no difference"),
            ({"reason": None}, "needs a reason"),
            ({"reason": " "}, "needs a reason: give"),
            (
                {"reason": "Why this is wanted."},
                "needs a reason, and 'Why this is wanted.' is none",
            ),
            ({"expires": "2026-11-29"}, "2026-11-29 is over"),
            ({"expires": "soon"}, "--crossdiff-expires: "),
        ],
    )
    def test_what_can_not_be_granted_is_a_usage_error(self, given, words):
        alone = {"reason": None, "author": None} if given.get("accept", "C1") is None else {}
        with pytest.raises(pytest.UsageError, match=words):
            asked(**alone | given)

    def test_it_is_refused_in_ci(self, monkeypatch):
        monkeypatch.setenv("CI", "true")
        with pytest.raises(pytest.UsageError, match=r"is refused where .* CI is set"):
            asked()

    def test_the_author_is_git_s_where_none_is_given(self, tmp_path, monkeypatch):
        ran = []

        def git(command, **options):
            ran.append((command, options["cwd"], options["timeout"]))
            return SimpleNamespace(stdout="Bob\x1b\n")

        monkeypatch.setattr(subprocess, "run", git)
        found = asked(author=None, folder=tmp_path)
        assert found.author == "Bob\\x1b"
        assert ran == [(["git", "config", "user.name"], tmp_path, 10)]

    def test_git_itself_is_asked(self, tmp_path, monkeypatch):
        (tmp_path / "gitconfig").write_text("[user]\n  name = J\u00fcrgen \n", "utf-8")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
        monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        assert asked(author=None, folder=tmp_path).author == "J\u00fcrgen"

    @pytest.mark.parametrize("error", [OSError, subprocess.TimeoutExpired("git", 10)])
    def test_without_git_an_author_has_to_be_given(self, monkeypatch, error):
        def git(command, **options):
            raise error

        monkeypatch.setattr(subprocess, "run", git)
        with pytest.raises(pytest.UsageError, match="needs an author"):
            asked(author=None)


def firing(difference, begin):
    places = tuple(Firing("document 1", "a" * 16, end, 2.0) for end in range(begin, begin + 40))
    return dataclasses.replace(difference, firing=places)


class TestWhatItMakes:
    def maker(self, folder, *, texts=True):
        return EntryMaker(REQUEST, Slot("texts", "1", "1"), folder, TODAY, texts)

    def known(self, tmp_path):
        record = AcceptanceRecord(tmp_path / accepted_file.FILE, None, TODAY)
        return record.recognition(RESULT, Settings())[0]

    def test_an_entry_says_what_was_accepted_by_whom_and_why(self, tmp_path):
        (entry,) = (
            self.maker(Path("/somewhere")).proposal(RESULT, self.known(tmp_path), BUDGETS).entries
        )
        assert (entry.seen_as, entry.side, entry.strength) == ("C1", "candidate", 0.02)
        assert (entry.baseline, entry.candidate) == ("org/old", "v2")
        assert entry.tokens == (" a", "b⏎")
        assert len(entry.contexts) == 3
        assert all(len(context) <= 160 for context in entry.contexts)
        assert (entry.reason, entry.author, entry.date) == ("wanted", "Ann", TODAY)
        assert entry.id.startswith("c-")
        assert len(entry.id) == 10

    @pytest.mark.parametrize(
        ("most", "named"),
        [
            # The possible ones of a side on which the budget has no room for them.
            ({"max_candidate_only": 0, "max_baseline_only": 1}, ["B1", "C1", "C2"]),
            ({"max_candidate_only": 1, "max_baseline_only": 0}, ["B1", "B2", "C1"]),
            ({"max_candidate_only": 1, "max_baseline_only": 1}, ["B1", "C1"]),
        ],
    )
    def test_all_is_what_counts_and_what_would_then_leave_the_verdict_open(
        self, tmp_path, most, named
    ):
        found = make_result(
            firing(make_difference("C1"), 0),
            firing(make_difference("C2", certainty="possible"), 100),
            firing(make_difference("B1", "baseline"), 0),
            firing(make_difference("B2", "baseline", certainty="possible"), 100),
        )
        maker = self.maker(tmp_path)._replace(request=REQUEST._replace(ids=("all",)))
        budgets = Budgets.configured(Settings(**most))
        known = recognise(found, (), growth=2.0, today=TODAY)
        made = maker.proposal(found, known, budgets)
        assert sorted(entry.seen_as for entry in made.entries) == named
        accepted = recognise(found, made.entries, growth=2.0, today=TODAY)
        assert compute_verdict(found, budgets, accepted).status == "within"

    def test_all_is_every_possible_one_where_none_is_confirmed(self, tmp_path):
        found = make_result(make_difference("C1", certainty="possible"))
        maker = self.maker(tmp_path)._replace(request=REQUEST._replace(ids=("all",)))
        known = recognise(found, (), growth=2.0, today=TODAY)
        made = maker.proposal(found, known, Budgets.configured(Settings(max_candidate_only=9)))
        assert [entry.seen_as for entry in made.entries] == ["C1"]

    def test_all_leaves_out_possible_ones_that_change_too_few_answers_to_count(self, tmp_path):
        small = dataclasses.replace(
            make_difference("C2", certainty="possible"), changed_replies=Share(0, 400)
        )
        found = make_result(
            make_difference("C1"), make_difference("C3", certainty="possible"), small
        )
        maker = self.maker(tmp_path)._replace(request=REQUEST._replace(ids=("all",)))
        budgets = Budgets.configured(Settings(min_changed_replies=0.2))
        known = recognise(found, (), growth=2.0, today=TODAY)
        made = maker.proposal(found, known, budgets)
        assert sorted(entry.seen_as for entry in made.entries) == ["C1", "C3"]

    def test_ids_differ_between_sides_and_comparisons_and_nothing_else(self, tmp_path):
        def ids(slot, names):
            maker = self.maker(tmp_path)._replace(
                slot=slot, request=REQUEST._replace(ids=tuple(names))
            )
            return [
                entry.id for entry in maker.proposal(RESULT, self.known(tmp_path), BUDGETS).entries
            ]

        here, there = Slot("texts", "1", "1"), Slot("texts", "2", "1")
        assert ids(here, ["C1"]) == ids(here, ["C1"])
        assert len({*ids(here, ["C1", "B1"]), *ids(there, ["C1", "B1"])}) == 4

    def test_texts_can_be_left_out(self, tmp_path):
        maker = self.maker(tmp_path, texts=False)
        (entry,) = maker.proposal(RESULT, self.known(tmp_path), BUDGETS).entries
        assert (entry.description, entry.tokens, entry.contexts) == ("", (), ())

    def test_a_proposal_survives_being_written_and_read(self, tmp_path):
        made = self.maker(tmp_path).proposal(RESULT, self.known(tmp_path), BUDGETS)
        again = Proposal.from_json(made.to_json())
        assert again.ids == made.ids == ("C1", "B1")
        assert accepted_file.to_json(again.entries) == accepted_file.to_json(made.entries)


class TestTheRecord:
    def record(self, folder, *ids):
        request = REQUEST._replace(ids=ids) if ids else None
        return AcceptanceRecord(folder / accepted_file.FILE, request, TODAY)

    def test_it_lies_beside_the_ini_else_in_the_root(self, tmp_path):
        ini = tmp_path / "a" / "pytest.ini"
        assert AcceptanceRecord.from_paths(ini, tmp_path).path.parent == ini.parent
        found = AcceptanceRecord.from_paths(None, tmp_path)
        assert (found.path, found.request) == (tmp_path / accepted_file.FILE, None)
        given = {"accept": "C1", "reason": "why", "author": "Ann"}
        session = AcceptanceRecord.of(config(tmp_path, **given))
        assert (session.path, session.request.ids) == (found.path, ("C1",))

    def test_what_is_asked_for_is_accepted_in_this_run_and_once_written_in_every_one(
        self, tmp_path
    ):
        record = self.record(tmp_path, "C1")
        known, proposal = record.recognition(RESULT, Settings())
        assert known.accepts("C1")
        assert not known.accepts("B1")
        (entry,) = proposal.entries
        said = record.write_accepted([proposal, proposal])
        assert said == f"accepted C1 as {entry.id}: commit {accepted_file.FILE}"
        later, nothing = self.record(tmp_path).recognition(RESULT, Settings())
        assert later.accepts("C1")
        assert nothing is None
        again, known_again = self.record(tmp_path, "C1").recognition(RESULT, Settings())
        assert [one.id for one in known_again.entries] == [entry.id]
        assert again.accepts("C1")

    def test_entries_of_another_comparison_are_not_used(self, tmp_path):
        record = self.record(tmp_path, "C1")
        record.write_accepted([record.recognition(RESULT, Settings())[1]])
        for other in (
            Settings(corpus="b.txt"),
            Settings(baseline_layer=3),
            Settings(candidate_layer=3),
        ):
            known, _ = self.record(tmp_path).recognition(RESULT, other)
            assert not known.accepts("C1")
            assert not known.missing
        assert not self.record(tmp_path).recognition(RESULT, Settings(), "x")[0].accepts("C1")

    @pytest.mark.parametrize(
        ("ids", "pairs", "words", "remedy"),
        [
            (("C1",), (), "no pair was measured", "select a test"),
            (("C9",), ("a",), "there is no difference C9", "name some of: C1, B1"),
            (("C9",), ("",), "there is no difference C9", "there are none at all"),
            (("C1",), ("a", "b"), "C1 is a difference of 2 pairs", "select one test"),
            (("C1",), ("a",), "no difference is left to accept", "leave the flag out"),
        ],
    )
    def test_nothing_is_written_where_an_id_is_not_that_of_one_difference_that_counts(
        self, tmp_path, ids, pairs, words, remedy
    ):
        record = self.record(tmp_path, *ids)
        made = [Proposal(key, ("C1", "B1") if key else (), ()) for key in pairs]
        with pytest.raises(SettingsError, match=words) as caught:
            record.write_accepted(made)
        assert caught.value.source == "--crossdiff-accept"
        assert remedy in caught.value.remedy
        assert not record.path.exists()


@pytest.mark.parametrize(
    ("reference", "written"),
    [
        ("evals/a.jsonl", "evals/a.jsonl"),
        ("org/name@main", "org/name@main"),
        ("/project/evals/a.jsonl", "evals/a.jsonl"),
        ("/elsewhere/a.jsonl", "…/a.jsonl"),
        ("a\nb", "a⏎b"),
    ],
)
def test_a_path_is_written_as_seen_from_the_folder_of_the_file(reference, written):
    assert portable(reference, Path("/project")) == written


def test_a_slot_has_the_texts_and_both_layers():
    settings = Settings(corpus="/project/a.txt", baseline_layer=3, candidate_layer=5)
    assert Slot.of(settings, Path("/project")) == Slot("a.txt", "3", "5")
    assert Slot.of(settings, Path("/project"), "given in a test").corpus == "given in a test"
