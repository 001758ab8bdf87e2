"""Everything that is read from outside, and malformed forms of it.

Whatever comes in is read or refused with one `CrossDiffError`; nothing else may come out.
"""

from __future__ import annotations

import copy
import functools
import io
import json
import struct
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.parquet
from hypothesis import strategies as st

from pytest_crossdiff.engine.activations.chat_templates import Chat
from pytest_crossdiff.engine.baseline_archive import PURPOSE, import_baseline
from pytest_crossdiff.engine.corpus import documents
from pytest_crossdiff.engine.corpus.messages import Message
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.engine.population import reference_sets
from pytest_crossdiff.errors import CrossDiffError
from pytest_crossdiff.gate import accepted_file
from pytest_crossdiff.report import stored
from pytest_crossdiff.report.markup import escaped
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.settings import fields
from pytest_crossdiff.settings.parsing import parse
from pytest_crossdiff.store.cache import Store
from pytest_crossdiff.store.digest import digest
from pytest_crossdiff.store.manifest import Manifest, Parts
from pytest_crossdiff.store.transfer import HEAD
from support.results import make_difference, make_entry, make_result
from support.tokenizers import tokenizer
from torture.forms import ANY_JSON, NESTED, SCALARS, spoilt_bytes, spoilt_json, write

if TYPE_CHECKING:
    from collections.abc import Callable

CONTROL = {*map(chr, range(32)), "\x7f"} - {"\n"}
REPORT = Path(__file__).parents[1] / "results" / "report-version-3.json"


@dataclass(frozen=True)
class Boundary:
    """name: of what is read.  forms: of it, valid and not.  read: takes a folder of its own and a
    form.
    """

    name: str
    forms: st.SearchStrategy[Any]
    read: Callable[[Path, Any], object]

    def refuses_or_reads(self, folder: Path, form: Any) -> bool:
        """Whether it was read.  Raises whatever is no `CrossDiffError`."""
        try:
            self.read(folder, form)
        except CrossDiffError as error:
            if not error.what or CONTROL & set(str(error)):
                raise AssertionError(f"harmful or empty: {error!r}") from error
            return False
        return True


def safetensors(header: bytes, values: bytes = b"\0" * 16) -> bytes:
    """A file with this header."""
    return struct.pack("<Q", len(header)) + header + values


HEADER = {
    "__metadata__": {"format": "pt"},
    "w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
}
GOOD = safetensors(json.dumps(HEADER).encode())
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "auto_map": {"AutoModel": "m.M"},
}
TOKENIZER = {
    "model_max_length": 512,
    "auto_map": {"AutoTokenizer": ["t.T", None]},
    "chat_template": "x",
}
INDEX = {"metadata": {}, "weight_map": {"a": "part-1.safetensors", "b": "part-2.safetensors"}}
ADAPTER = {"peft_type": "LORA", "base_model_name_or_path": "./base", "revision": "main", "r": 8}


def _model(name: str) -> Callable[[Path, bytes], object]:
    """Resolves a model's folder in which the file `name` has the given content."""

    def read(folder: Path, data: bytes) -> object:
        files = {"config.json": json.dumps(CONFIG).encode(), "tokenizer.json": b"{}"}
        if name == "model.safetensors.index.json":
            files |= {f"part-{n}.safetensors": GOOD for n in (1, 2)}
        else:
            files["model.safetensors"] = GOOD
        if name == "adapter_config.json":
            files["adapter_model.safetensors"] = GOOD
        reference = resolve(str(write(folder, files | {name: data})), source="crossdiff_baseline")
        reference.must_be_unchanged(none_new=True)
        return reference

    return read


def _weights(folder: Path, header: bytes) -> object:
    return _model("model.safetensors")(folder, safetensors(header))


def _gguf(folder: Path, data: bytes) -> object:
    return resolve(str(write(folder, {"m.gguf": b"GGUF" + data}) / "m.gguf"), source="x")


def _corpus(ending: str) -> Callable[[Path, bytes], object]:
    def read(folder: Path, data: bytes) -> object:
        return documents.read(str(write(folder, {f"texts.{ending}": data}) / f"texts.{ending}"))

    return read


def _parquet() -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a b"] * 3, "id": [1, 2, 3]}), out)
    return out.getvalue()


def _parquet_of_times(folder: Path, value: int) -> object:
    path = write(folder, {}) / "texts.parquet"
    times = pyarrow.array([value], pyarrow.timestamp("ms"))
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a b"], "id": times}), path)
    return documents.read(str(path))


def _accepted(folder: Path, data: bytes) -> object:
    return accepted_file.read(write(folder, {accepted_file.FILE: data}) / accepted_file.FILE)


def _report(folder: Path, data: bytes) -> object:
    return stored.read(write(folder, {"report.json": data}) / "report.json")


ARCHIVED = {
    "facts": {"reference": "org/m", "digest": "0" * 64},
    "entries": [{"kind": "harvest", "key": "ab" * 32, "meta": {"n": 1}, "files": {"a.bin": "0"}}],
}
LISTED = {
    "format": reference_sets.FORMAT,
    "version": reference_sets.VERSION,
    "references": [{"name": "m", "digest": "0", "key": "k", "file": "a", "sha256": "0"}],
}
PROMPTS = {"prompts": ["Say {{ a }}", "{{ b | upper }}"], "tests": [{"vars": {"a": "x", "b": [1]}}]}


def _archive(folder: Path, spoilt: bytes) -> object:
    """An archive whose list of contents has the seal that belongs to it, where that is possible."""
    try:
        content = json.loads(spoilt) | {"format": PURPOSE}
        data = json.dumps(content | {"seal": digest(content)}).encode()
    except (ValueError, TypeError, RecursionError):
        data = spoilt
    file = folder / "baseline.crossdiff"
    write(folder, {})
    with tarfile.open(file, "w") as archive:
        for name, part in ((HEAD, data), (f"harvest/{'ab' * 32}/a.bin", b"x")):
            member = tarfile.TarInfo(name)
            member.size = len(part)
            archive.addfile(member, io.BytesIO(part))
    return import_baseline(file, Store(folder.with_name("imported")))


def _damaged_archive(folder: Path, data: bytes) -> object:
    file = write(folder, {"baseline.crossdiff": data}) / "baseline.crossdiff"
    return import_baseline(file, Store(folder.with_name("imported")))


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(HEAD)
        content = ARCHIVED | {"format": PURPOSE, "entries": []}
        data = json.dumps(content | {"seal": digest(content)}).encode()
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _listed_references(folder: Path, data: bytes) -> object:
    return reference_sets.ReferenceSet.read(write(folder, {reference_sets.LIST: data}))


def _setting(_: Path, given: tuple[str, object]) -> object:
    return parse(*given, "pytest.ini")


def _template(_: Path, template: str) -> object:
    reader = copy.deepcopy(tokenizer("byte-level BPE"))
    reader.chat_template = template
    return Chat((Message("user", "Is it late?"), Message("assistant", "No.")), reader).write()


PIECES = st.sampled_from(
    [
        *("{% for m in messages %}", "{% endfor %}", "{{ m.content }}", "{{ messages[0].role }}"),
        *(
            "{% if 1 %}",
            "{% endif %}",
            "{{ 1 // 0 }}",
            "{{ 2 ** 9999 }}",
            "{{ raise_exception('no') }}",
        ),
        *(
            "{% macro f() %}{{ f() }}{% endmacro %}",
            "{{ f() }}",
            "{{ messages | length }}",
            "{{ x.y.z }}",
        ),
        *(
            "{{ messages[9] }}",
            "{{ 'a' * 3 }}",
            "{% set a = 1 %}",
            "{{ strftime_now('%Y') }}",
            "{%",
            "}}",
        ),
    ]
)


def _formatted(_: Path, text: str) -> object:
    return escaped(text), str(CrossDiffError(text or "x", source=text, remedy=text))


@functools.cache
def boundaries() -> tuple[Boundary, ...]:
    """All of them."""
    result = json.loads(make_result(make_difference()).to_json())
    accepted = json.loads(accepted_file.to_json([make_entry()]))
    manifest = json.loads(Manifest({"tokens": 3}, {"part": "0" * 64}, "kind/key").to_bytes())
    parts = json.loads(Parts({"part": ("0" * 64,)}, "kind/key").to_bytes())
    lines = b'{"text": "a b"}\n{"messages": [{"role": "user", "content": "c"}], "id": 3}\n'
    rows = b"id,text\n1,a b\n2,c d\n"
    names = st.sampled_from([field.name for field in fields()])
    return (
        Boundary("config.json", spoilt_json(CONFIG), _model("config.json")),
        Boundary("tokenizer_config.json", spoilt_json(TOKENIZER), _model("tokenizer_config.json")),
        Boundary("index of shards", spoilt_json(INDEX), _model("model.safetensors.index.json")),
        Boundary("safetensors header", spoilt_json(HEADER), _weights),
        Boundary("adapter_config.json", spoilt_json(ADAPTER), _model("adapter_config.json")),
        Boundary("GGUF header", st.binary(max_size=80), _gguf),
        Boundary("corpus .txt", spoilt_bytes(b"a b\n\nc d\r\ne"), _corpus("txt")),
        Boundary("corpus .jsonl", spoilt_bytes(lines) | NESTED.map(_turn_with), _corpus("jsonl")),
        Boundary("corpus .json", spoilt_json([{"text": "a"}, {"messages": []}]), _corpus("json")),
        Boundary("corpus .csv", spoilt_bytes(rows), _corpus("csv")),
        Boundary("corpus .parquet", spoilt_bytes(_parquet()), _corpus("parquet")),
        Boundary("times in parquet", st.integers(-(2**63), 2**63 - 1), _parquet_of_times),
        Boundary("report.json", spoilt_json(json.loads(REPORT.read_text("utf-8"))), _report),
        Boundary("result.json", spoilt_json(result), lambda _, data: Result.from_json(_text(data))),
        Boundary("crossdiff-accepted.json", spoilt_json(accepted), _accepted),
        Boundary("manifest", spoilt_json(manifest), lambda _, data: Manifest.from_bytes(data, "m")),
        Boundary("list of parts", spoilt_json(parts), lambda _, data: Parts.from_bytes(data, "p")),
        Boundary("list of an archive", spoilt_json(ARCHIVED), _archive),
        Boundary("archive", spoilt_bytes(_tar()), _damaged_archive),
        Boundary("list of references", spoilt_json(LISTED), _listed_references),
        Boundary("promptfoo configuration", spoilt_json(PROMPTS), _corpus("yaml")),
        Boundary("settings", st.tuples(names, SCALARS | ANY_JSON), _setting),
        Boundary("chat template", st.lists(PIECES, max_size=5).map("".join), _template),
        Boundary("text in messages and Markdown", st.text(max_size=40), _formatted),
    )


def _turn_with(nested: str) -> bytes:
    turn = f'{{"role": "assistant", "content": "a", "tool_calls": {nested}}}'
    return f'{{"messages": [{turn}], "tools": {nested}}}'.encode()


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
