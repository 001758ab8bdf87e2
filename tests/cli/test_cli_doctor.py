"""`crossdiff doctor`: each check fails where a measurement would, and says what to do."""

from __future__ import annotations

import json
import re
import shutil
from types import SimpleNamespace

import pytest
from transformers import AutoModelForCausalLM

from pytest_crossdiff.cli.commands import doctor
from pytest_crossdiff.cli.configuration import Configuration
from pytest_crossdiff.cli.terminal import Terminal
from pytest_crossdiff.engine import estimate, pipeline
from pytest_crossdiff.engine.models import devices
from pytest_crossdiff.engine.models.loading import weight_grid
from pytest_crossdiff.engine.models.loading.weight_grid import WeightGrid
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.errors import CrossDiffError
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.settings import Settings, fields
from pytest_crossdiff.sides import SIDES
from support import planted
from support.commands import crossdiff
from support.tokenizers import tokenizer
from support.vocabularies import change_json, with_bos


class Lines(list):
    def write(self, text):
        self.extend(text.splitlines())


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return planted.plain(folder / "v1"), planted.merged(folder / "v2")


@pytest.fixture
def examine(models, tmp_path):
    """The lines for settings that differ from good ones, and the exit code as the last."""

    def call(**others):
        good = planted.quick(*models, tmp_path / "cache")
        values = {f.name: getattr(good, f.name) for f in fields()} | others
        sources = dict.fromkeys(values, "default") | dict.fromkeys(others, "pytest.ini")
        lines = Lines()
        code = doctor.examine(
            Configuration(Settings(**values, sources=sources), tmp_path, None, lambda r: r),
            Terminal(lines, colour=False, width=100),
        )
        return [*lines, code]

    return call


def failed(lines):
    return [" ".join(line.split()) for line in lines[:-1] if line.startswith("✗")]


def test_nothing_stands_in_the_way_of_a_good_pair(examine, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "rate", lambda _: 1e11)  # whatever else this machine does now
    lines = examine()
    assert [line[2:20].rstrip() for line in lines[:-3]] == [
        "settings", "cache", "device", "baseline", "candidate", "texts", "baseline tokens",
        "candidate tokens", "alignment", "amount", "memory", "disk", "time",
        "baseline values", "candidate values",
    ]  # fmt: skip
    assert all(line.startswith("✓ ") for line in lines[:-3])
    assert lines[-2:] == ["Nothing stands in the way of a measurement.", 0]
    assert "(0 empty, 0 duplicates left out)" in lines[5]
    assert "LlamaForCausalLM, 0.146 million weights, block 0 of 3, width 48" in lines[3]
    assert "this will take about 10 seconds (a rough estimate)" in lines[-6]
    assert not (tmp_path / "cache" / "harvest").exists()


def test_a_bos_token_that_one_tokenizer_alone_adds_is_named(examine, models, tmp_path):
    changed = shutil.copytree(models[1], tmp_path / "with-bos")
    with_bos(tokenizer("byte-level BPE")).save_pretrained(changed)
    lines = examine(candidate=str(changed))
    (note,) = [line for line in lines[:-1] if line.startswith("! tokenizers")]
    assert "only the candidate's tokenizer adds a BOS token (<|endoftext|>)" in note
    assert "copy tokenizer.json and tokenizer_config.json" in note
    assert lines[-1] == 0


def test_tokenizers_with_the_same_tokens_that_split_texts_differently_are_named(
    examine, models, tmp_path
):
    changed = shutil.copytree(models[1], tmp_path / "other-merges")

    def drop_a_merge(saved):
        merges = saved["model"]["merges"]
        saved["model"]["merges"] = [pair for pair in merges if "".join(pair) != "Ġthe"]

    change_json(changed / "tokenizer.json", drop_a_merge)
    lines = examine(candidate=str(changed))
    (note,) = [line for line in lines[:-1] if line.startswith("! tokenizers")]
    assert "the tokenizers have the same tokens but split the texts differently" in note
    assert "(the baseline Ġthe, the candidate Ġt he)" in note


def test_as_a_command_what_is_measured_already_is_fine(measured):
    done = crossdiff(measured, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ time              measured already: the next run answers from the cache" in (
        done.stdout.splitlines()
    )


def test_as_a_command_it_fails_with_3(measured):
    done = crossdiff(measured, "doctor", "--candidate=models/v9", "--layer=7")
    assert done.returncode == 3
    assert "✗ candidate         models/v9@main is neither a folder here nor in" in done.stdout
    assert "✗ baseline          layer 7 is out of range: the model has 3 blocks" in done.stdout
    assert done.stdout.endswith("\n2 checks failed: a measurement would, too.\n")


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({"baseline": "", "candidate": ""}, "settings crossdiff_baseline and crossdiff_candidate"),
        ({"corpus": "nowhere.txt"}, "texts there is no corpus"),
        ({"device": "quantum"}, "device the device 'quantum' can't be used"),
        ({"baseline_blocks": "no.such"}, "baseline the blocks of LlamaForCausalLM can't be told"),
        ({"candidate_layer": -4}, "candidate layer -4 is out of range"),
        ({"tokens": 200}, "texts "),
        ({"features": 8000}, "amount the corpus gives "),
        ({"train": "never"}, "time crossdiff_train = never"),
        ({"reader": "vllm"}, "device vllm can't be imported: No module named 'vllm'"),
        ({"dictionary_shards": 64}, "amount 64 shards are too many: a dictionary of the run has"),
        ({"max_surprising_replies": 0.1}, "replies crossdiff_max_surprising_replies is set, and"),
        (
            {"reference_corpus": "no.txt"},
            "reference texts there is no corpus 'no.txt' (from crossdiff_reference_corpus = no.txt",
        ),
    ],
)
def test_what_a_measurement_would_fail_at(examine, others, expected):
    lines = examine(**others)
    (line,) = failed(lines)
    assert line.startswith(f"✗ {expected}")
    assert lines[-2:] == ["1 check failed: a measurement would, too.", 3]


def test_an_empty_corpus(examine, tmp_path):
    (tmp_path / "empty.jsonl").write_text('{"text": " "}\n\n')
    lines = examine(corpus=str(tmp_path / "empty.jsonl"))
    assert failed(lines)[0].startswith("✗ texts the corpus is empty: 1 records, 1 of them without")


def test_messages_need_a_chat_template(examine, tmp_path):
    file = tmp_path / "chats.jsonl"
    file.write_text(
        "\n".join(
            json.dumps({"messages": [{"role": "user", "content": f"What is {i}? " * 40}]})
            for i in range(60)
        )
    )
    lines = examine(corpus=str(file))
    assert "has no chat template, and the corpus has messages" in failed(lines)[0]
    plain = examine(corpus=str(file), chat_template="plain", features=128)
    assert plain[-1] == 0


class TestBeforeAnythingExpensive:
    """What doctor and a measurement say of conversations before anything expensive."""

    @pytest.fixture
    def chat(self, models, tmp_path):
        """Both models with a template that writes a system message, and a corpus with a key that
        nothing reads.
        """
        folders = []
        for model in models:
            folder = shutil.copytree(model, tmp_path / model.name)
            (folder / "chat_template.jinja").write_text(
                "Answer the questions of the company.\n"
                "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
                "{% endfor %}"
            )
            folders.append(str(folder))
        turns = [
            [
                {"role": "user", "content": f"What is {i}? " * 20, "timestamp": i + 1},
                {"role": "assistant", "content": f"It is {i} of {i}. " * 20},
            ]
            for i in range(60)
        ]
        file = tmp_path / "chats.jsonl"
        file.write_text("\n".join(json.dumps({"messages": one}) for one in turns))
        return {"baseline": folders[0], "candidate": folders[1], "corpus": str(file)}

    SAID = re.compile(
        r"the chat template adds (\d+) tokens to a conversation on average \((\d+) % of what is "
        r"read; (\d+) of them before the first message\)"
    )
    LEFT_OUT = "no chat template reads them: 'timestamp' (60 messages)"

    def test_doctor_says_what_the_template_adds_and_what_is_left_out(self, examine, chat):
        said = " ".join(" ".join(line.split()) for line in examine(**chat)[:-1])
        assert self.LEFT_OUT in said
        added, share, preface = map(int, self.SAID.search(said).groups())
        assert added > preface > 5
        assert 1 <= share <= 50

    def test_a_measurement_says_it_too_before_it_begins(self, models, chat, tmp_path):
        notes = []

        class Listener(SilentProgress):
            def note(self, message):
                notes.append(message)

            def estimate(self, message, seconds):
                raise KeyboardInterrupt

        settings = planted.quick(*models, tmp_path / "cache").with_values(**chat)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(settings, progress=Listener())
        assert any(self.LEFT_OUT in note for note in notes)
        assert any(self.SAID.fullmatch(note) for note in notes)


def test_a_model_without_its_tokenizer(examine, models, tmp_path):
    shutil.copytree(models[1], tmp_path / "bare")
    for file in (tmp_path / "bare").glob("tokenizer*"):
        file.unlink()
    (line,) = failed(examine(candidate=str(tmp_path / "bare")))
    assert line.startswith("✗ candidate tokens the tokenizer of ")


def test_too_little_memory_and_disk(examine, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    monkeypatch.setattr(devices, "available_memory", lambda device: 10_000)
    memory, disk = failed(examine())
    assert memory.startswith("✗ memory about 5")
    assert memory.endswith("needed, 10 kB free")
    assert disk.endswith("needed, 1 B free")


def test_where_only_whole_models_are_too_large_it_says_what_loads_them(examine, monkeypatch):
    monkeypatch.setattr(estimate, "loaded", lambda *_: (10**8, 10**9))
    monkeypatch.setattr(devices, "available_memory", lambda device: 10**9)
    lines = examine()
    (line,) = failed(lines)
    whole, part = (1.15 * 4 * weights + 5e8 for weights in (10**9, 10**8))
    assert line == f"✗ memory about {whole / 1e9:.1f} GB needed, 1 GB free"
    said = " ".join(" ".join(lines[:-1]).split())
    without = "crossdiff_metrics = false, crossdiff_effect = false and crossdiff_replies = 0"
    assert f"set {without}, which load whole models: about {part / 1e6:.0f} MB needed" in said


def test_memory_counts_the_weights_that_the_run_loads(models, tmp_path):
    """Of the larger model: the embeddings, the block that is read and the final norm, or all."""
    model = AutoModelForCausalLM.from_pretrained(models[0])
    every = sum(weight.numel() for weight in model.parameters())
    up_to = [model.model.embed_tokens, model.model.layers[0], model.model.norm]
    part = sum(weight.numel() for module in up_to for weight in module.parameters())
    settings = planted.quick(models[0], models[0], tmp_path, replies=0)

    def loaded(**others):
        of = plan(settings.with_values(**others))
        return estimate.loaded(of, {side: estimate.skeleton(of, side) for side in SIDES})

    assert part < every
    assert loaded(metrics=False, effect=False) == (part, part)
    assert loaded(metrics=True, effect=False) == (part, every)
    assert loaded(metrics=False, effect=True) == (part, every)
    assert loaded(metrics=False, effect=False, device_map="auto") == (every, every)
    assert loaded(metrics=False, effect=False, layer="output") == (every, every)


def test_weights_that_were_rounded_otherwise_are_said(examine, monkeypatch):
    grids = iter([WeightGrid("Q4_1 (GGUF)", few=True), WeightGrid()])
    monkeypatch.setattr(weight_grid, "weight_grid", lambda _: next(grids))
    said = " ".join(" ".join(line.split()) for line in examine()[:-1])
    assert (
        "! weights the baseline's weights are rounded to Q4_1 (GGUF), the candidate's not" in said
    )


def test_code_of_a_model_is_not_run(examine):
    lines = examine(trust_remote_code=True)
    assert sum("may run code of its own" in str(line) for line in lines) == 2


def test_hostile_names_are_spelt_out(examine):
    lines = examine(candidate="\x1b[2J")
    assert any(r"\x1b[2J" in str(line) for line in lines)
    assert all(line.isprintable() for line in lines[:-1])


class TestEstimate:
    def test_it_grows_with_the_work_and_leaves_out_what_is_there(self):
        model = estimate.ModelShape("X", 12, 6, 64, 10**7, 5 * 10**6, 512)
        workload = estimate.Workload(
            models={"baseline": model, "candidate": model}, tokens=10**5, layers=1, features=4096,
            steps=4000, batch=256, dictionaries=3, missing=3, unharvested=frozenset(SIDES),
        )  # fmt: skip
        once = estimate.cost(workload, 4e10, itemsize=4)
        learned = {"train dictionaries", "verify features"}
        assert set(once.seconds) == {"read baseline", "read candidate", *learned}
        assert once.disk > 2 * 10**5 * 64 * 4
        twice = estimate.cost(workload._replace(steps=8000, tokens=2 * 10**5), 4e10, itemsize=4)
        assert twice.seconds["train dictionaries"] == pytest.approx(
            2 * once.seconds["train dictionaries"]
        )
        assert twice.seconds["read baseline"] > once.seconds["read baseline"]
        deep = estimate.cost(workload._replace(layers=3), 4e10, itemsize=4)
        assert deep.seconds["read baseline"] == once.seconds["read baseline"], "one pass reads all"
        assert deep.disk > 2 * once.disk
        rest = estimate.cost(workload._replace(unharvested=frozenset()), 4e10, itemsize=4)
        assert set(rest.seconds) == learned
        trained = estimate.cost(
            workload._replace(unharvested=frozenset(), missing=0), 4e10, itemsize=4
        )
        assert trained.seconds == {"verify features": once.seconds["verify features"]}
        assert trained.disk == 0
        both = workload._replace(predicted=16_000, unpredicted=frozenset(SIDES))
        with_metrics = estimate.cost(both, 4e10, itemsize=4)
        passes = {f"read predictions of {side}" for side in SIDES}
        assert set(with_metrics.seconds) - set(once.seconds) == {"compare predictions", *passes}
        in_one_pass = estimate.cost(both._replace(in_one_pass=True), 4e10, itemsize=4)
        assert set(with_metrics.seconds) - set(in_one_pass.seconds) == passes
        layers = estimate.total_cost([with_metrics, with_metrics])
        assert layers.seconds["compare predictions"] == with_metrics.seconds["compare predictions"]
        assert layers.seconds["read baseline"] == with_metrics.seconds["read baseline"]
        assert layers.seconds["train dictionaries"] == 2 * once.seconds["train dictionaries"]

    def test_nothing_is_said_where_it_can_t_be_told(self):
        class Broken:
            def note(self, message):
                raise AssertionError

        estimate.announce(None, Broken())


def test_a_measurement_begins_with_an_estimate(measured):
    lines = (measured / "stderr.txt").read_text("utf-8").splitlines()
    assert lines[0] == "crossdiff: looking at both models before anything is measured"
    assert re.match(r"crossdiff: \S+ -> \S+: this will take ", lines[1])
    assert "(a rough estimate" in lines[1]


def test_a_skeleton_is_the_model_without_its_weights(models):
    from pytest_crossdiff.engine.models import loaded, skeletons
    from pytest_crossdiff.engine.models.sources.references import resolve

    for path in models:
        real = loaded.load(str(path), layer=0.5)
        empty = skeletons.inspect_model(resolve(str(path)), layer=0.5)
        weights = sum(p.numel() for p in real.model.parameters())
        assert empty[:5] == (real.architecture, real.layers, real.layer, real.width, weights)
    with pytest.raises(CrossDiffError):
        skeletons.inspect_model(resolve(str(models[0])), layer=17)


class TestConversations:
    TEMPLATE = (
        "{{ strftime_now('%Y') }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
        "<|im_end|>\n{% endfor %}"
    )

    @pytest.fixture
    def notes(self, examine, models, tmp_path):
        """What is worth knowing of conversations that `models` with this template read."""

        def call(turns, template=self.TEMPLATE):
            folders = []
            for model in models:
                folders.append(shutil.copytree(model, tmp_path / model.name))
                (folders[-1] / "chat_template.jinja").write_text(template, "utf-8")
            chats = (
                {"messages": turns(f"Pod {i} has too little memory. " * 9)} for i in range(200)
            )
            corpus = tmp_path / "chats.jsonl"
            corpus.write_text("".join(json.dumps(chat) + "\n" for chat in chats), "utf-8")
            baseline, candidate = map(str, folders)
            lines = examine(baseline=baseline, candidate=candidate, corpus=str(corpus))
            assert failed(lines) == []
            return [" ".join(line.split()) for line in lines[:-1] if line.startswith("!")]

        return call

    def test_a_template_that_writes_the_date(self, notes):
        found = notes(lambda text: [{"role": "user", "content": text},
                                    {"role": "assistant", "content": text[::-1]}])  # fmt: skip
        assert [line for line in found if "today" in line] == [
            f"! {side} tokens the chat template writes today's date: it will be read as on "
            "26 July 2024, on whatever day" for side in SIDES
        ]  # fmt: skip
        assert not [line for line in found if "tool calls" in line or "turn" in line]

    def test_tool_calls_that_a_template_leaves_out(self, notes):
        calls = [{"function": {"name": "load_of", "arguments": {"node": "gateway"}}}]
        found = notes(lambda text: [{"role": "user", "content": text},
                                    {"role": "assistant", "content": "", "tool_calls": calls}],
                      self.TEMPLATE.replace("{{ strftime_now('%Y') }}", ""))  # fmt: skip
        assert [line for line in found if "tool calls" in line] == [
            f"! {side} tokens the chat template leaves out or rewrites reasoning or tool calls: "
            "that text is not compared" for side in SIDES
        ]  # fmt: skip
        assert not [line for line in found if "today" in line]

    def test_prompts_without_an_answer(self, notes):
        found = notes(lambda text: [{"role": "user", "content": text}])
        (line,) = (line for line in found if "assistant's turn" in line)
        without, conversations = re.search(r"(\d+) of (\d+) conversations have no", line).groups()
        assert without == conversations
