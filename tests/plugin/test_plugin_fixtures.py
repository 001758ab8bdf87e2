"""The fixtures: what each gives, and how often anything is measured."""

from __future__ import annotations

import pytest

from pytest_crossdiff.engine.models import loaded
from pytest_crossdiff.engine.replies import recorded_model
from pytest_crossdiff.engine.replies.recorded_model import RecordedModel
from support.results import make_difference, make_result


def test_crossdiff_gives_the_measured_pair(project, engine):
    engine.result = make_result(make_difference())
    engine.cached = True
    project.makepyfile(
        """
        def test_it(crossdiff):
            assert [d.id for d in crossdiff.candidate_only] == ["C1"]
            assert crossdiff.baseline_only == ()
            assert crossdiff.result.corpus.documents == 50
            assert crossdiff.settings.baseline == "org/old"
            assert crossdiff.cached
            assert crossdiff.entry.name == "key"
        """
    )
    project.runpytest().assert_outcomes(passed=1)


def test_tests_that_ask_for_the_same_measurement_share_it(project, engine):
    project.makepyfile(
        """
        import pytest

        def test_one(crossdiff): pass
        def test_two(crossdiff): pass

        @pytest.mark.crossdiff(max_candidate_only=3)
        def test_another_budget(crossdiff):
            assert crossdiff.settings.max_candidate_only == 3

        def test_factory(crossdiff_factory):
            assert crossdiff_factory(min_fve=0.1).settings.min_fve == 0.1

        def test_crosscoder(crossdiff_crosscoder):
            assert crossdiff_crosscoder == "crosscoder of key"
        """
    )
    project.runpytest().assert_outcomes(passed=5)
    assert len(engine.asked) == 1


def test_another_layer_is_another_measurement(project, engine):
    project.makepyfile(
        """
        def test_it(crossdiff, crossdiff_factory):
            for _ in range(2):
                assert crossdiff_factory(layer=1).settings.layer == 1
        """
    )
    project.runpytest().assert_outcomes(passed=1)
    assert [settings.layer for settings, _ in engine.asked] == [0.5, 1]
    assert engine.asked[1][0].sources["layer"] == "argument of crossdiff_factory"


def test_a_test_that_is_run_again_does_not_measure_again(project, engine):
    project.makepyfile("def test_it(crossdiff): assert False")
    project.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            runtestprotocol(item, log=False, nextitem=None)
            item.session._setupstate.teardown_exact(None)
            item._initrequest()
        """
    )
    project.runpytest("--maxfail=5").assert_outcomes(failed=1)
    assert len(engine.asked) == 1


def test_a_failed_measurement_is_not_tried_again_for_every_test(project, engine):
    from pytest_crossdiff.errors import ModelError

    engine.error = ModelError("no such model")
    project.makepyfile("def test_one(crossdiff): pass\ndef test_two(crossdiff): pass")
    project.runpytest().assert_outcomes(errors=2)
    assert len(engine.asked) == 1


class TestCorpus:
    def test_texts_of_an_overridden_fixture_reach_the_engine(self, project, engine):
        project.makeconftest(
            """
            import pytest

            @pytest.fixture(scope="session")
            def crossdiff_corpus():
                return ["one text", {"text": "another"}]
            """
        )
        project.makepyfile("def test_one(crossdiff): pass\ndef test_two(crossdiff): pass")
        project.runpytest().assert_outcomes(passed=2)
        assert [texts for _, texts in engine.asked] == [["one text", {"text": "another"}]]

    def test_without_an_override_the_setting_names_the_texts(self, project, engine):
        project.makepyfile("def test_it(crossdiff): pass")
        project.runpytest().assert_outcomes(passed=1)
        assert engine.asked[0][1] is None

    def test_an_override_holds_for_the_tests_below_its_conftest(self, project, engine):
        for name in ("one", "two"):
            folder = project.mkdir(name)
            folder.joinpath("conftest.py").write_text(
                "import pytest\n@pytest.fixture(scope='session')\n"
                f"def crossdiff_corpus(): return ['{name}']"
            )
            folder.joinpath(f"test_{name}.py").write_text("def test_it(crossdiff): pass")
        project.runpytest().assert_outcomes(passed=2)
        assert [texts for _, texts in engine.asked] == [["one"], ["two"]]

    def test_a_corpus_named_nearer_to_the_test_is_read_instead(self, project, engine):
        project.makeconftest(
            "import pytest\n@pytest.fixture(scope='session')\n"
            "def crossdiff_corpus(): return ['one']"
        )
        project.makepyfile(
            """
            import pytest

            @pytest.mark.crossdiff(corpus="safety.txt")
            def test_marker(crossdiff): pass

            def test_factory(crossdiff_factory):
                crossdiff_factory(corpus="other.txt")
            """
        )
        project.runpytest().assert_outcomes(passed=2)
        assert [texts for _, texts in engine.asked] == [None, None]
        project.runpytest("--crossdiff-corpus=third.txt", "-k", "no_such").assert_outcomes(
            deselected=2
        )

    @pytest.mark.parametrize("given", ["'one text'", "(t for t in ['a'])", "5"])
    def test_texts_that_are_no_list_are_an_error(self, project, engine, given):
        project.makeconftest(
            "import pytest\n@pytest.fixture(scope='session')\n"
            f"def crossdiff_corpus(): return {given}"
        )
        project.makepyfile("def test_it(crossdiff): pass")
        result = project.runpytest()
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["the texts are a *, not a list", "  from: fixture *"])


def test_the_factory_refuses_unknown_settings(project, engine):
    project.makepyfile("def test_it(crossdiff_factory): crossdiff_factory(leyer=1)")
    result = project.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "unknown setting 'leyer'",
            "  from: argument of crossdiff_factory",
            "  to do: did you mean 'layer'?",
        ],
        consecutive=True,
    )


class TestModels:
    @pytest.fixture(autouse=True)
    def _models(self, monkeypatch):
        monkeypatch.setattr(loaded, "load", lambda reference, **options: (reference, options))
        monkeypatch.setattr(RecordedModel, "of", lambda model, *_: model)
        monkeypatch.setattr(recorded_model, "resolve", lambda reference, *_, **__: reference)
        monkeypatch.setattr(recorded_model, "hold", lambda *_, **__: None)

    def test_each_model_is_loaded_once_for_ordinary_tests(self, project):
        project.makepyfile(
            """
            def test_it(crossdiff_baseline, crossdiff_candidate):
                assert crossdiff_baseline[0] == "org/old"
                assert crossdiff_candidate[0] == "org/new"
                assert crossdiff_candidate[1] == {
                    "layer": 3, "blocks": "", "dtype": "float32", "device": "auto",
                    "trust_remote_code": False, "source": "pytest.ini: crossdiff_candidate",
                    "with_head": False, "part": None, "device_map": "",
                }
                assert crossdiff_baseline[1]["layer"] == 0.5

            def test_same(crossdiff_baseline):
                globals().setdefault("seen", crossdiff_baseline)
                assert crossdiff_baseline is seen
            """
        )
        project.runpytest(
            "--crossdiff-dtype=float32", "--crossdiff-candidate-layer=3"
        ).assert_outcomes(passed=2)

    def test_one_model_needs_no_other(self, pytester):
        pytester.makepyfile(
            "def test_it(crossdiff_baseline): pass\ndef test_other(crossdiff_candidate): pass"
        )
        result = pytester.runpytest("--crossdiff-baseline=org/old")
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(["crossdiff_candidate is not set"])
