"""What the entries of the cache are, in a few words each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.results.result import Result, layer_name
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.cache import DamagedEntry
from pytest_crossdiff.text import plural, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_crossdiff.store.cache import EntryInfo, Store


def describe(store: Store, entries: Iterable[EntryInfo]) -> list[str]:
    """A few words on each entry; never raises for one that can't be read."""
    return [_words(store, info) for info in entries]


def _words(store: Store, info: EntryInfo) -> str:
    if info.state == "damaged":
        return "set aside; the next prune may take it"
    if not info.complete:
        return f"unfinished: {plural(sum(1 for _ in info.path.iterdir()), 'file')}"
    entry = store.entry(info.kind, info.key)
    try:
        manifest = entry.read_manifest()
        meta = manifest.meta if manifest else {}
        if info.kind == "result":
            return _result(entry.read_bytes("result.json"))
        text = _OF_KIND[info.kind](meta)
    except DamagedEntry:
        return "damaged: the next run makes it again"
    except (StoreError, KeyError, TypeError, ValueError):
        return "of another version"
    return visible(text)


def _harvest(meta: dict[str, Any]) -> str:
    model = _short(str(meta.get("model") or meta["architecture"]))
    where = layer_name(meta["layer"], meta["layers"])
    return f"{model} {where}: {plural(meta['tokens'], 'token')}, {meta['dtype']}"


def _crosscoder(meta: dict[str, Any]) -> str:
    config = meta["config"]
    features = sum(config[name] for name in ("shared", "baseline_only", "candidate_only"))
    widths = f"widths {config['width_a']} and {config['width_b']}"
    return f"{config['architecture']}: {plural(features, 'feature')}, {widths}"


def _dequantised(meta: dict[str, Any]) -> str:
    what = meta["what"] if meta["what"] in ("config", "tokenizer") else f"weights, {meta['what']},"
    return f"{what} of {meta['file']}"


def _null(meta: dict[str, Any]) -> str:
    return f"null control: {plural(meta['found'], 'false positive')}"


def _spiked(meta: dict[str, Any]) -> str:
    found = sum(signal["measured"] > 0 for signal in meta["found"])
    return f"{found} of {plural(len(meta['found']), 'planted signal')} detected"


def _weights(meta: dict[str, Any]) -> str:
    return f"a sample of the weights of {_short(str(meta['model']))}"


def _states(meta: dict[str, Any]) -> str:
    return f"final states of {_short(str(meta['model']))}, {meta['dtype']}"


def _metrics(meta: dict[str, Any]) -> str:
    if reason := meta.get("uncomparable"):
        return f"none: {reason}"
    return f"output metrics on {plural(meta['documents'], 'document')}"


def _self_check(meta: dict[str, Any]) -> str:
    return f"self-check of {_short(str(meta['model']))}: {meta['words']}"


def _replies(meta: dict[str, Any]) -> str:
    return f"{plural(meta['replies'], 'reply', 'replies')} of {_short(str(meta['model']))}"


def _comparison(meta: dict[str, Any]) -> str:
    return f"none: {meta['reason']}" if "reason" in meta else "two models' replies side by side"


def _workflow(meta: dict[str, Any]) -> str:
    return f"none: {meta['reason']}" if "reason" in meta else "model and workflow told apart"


def _archive(meta: dict[str, Any]) -> str:
    return f"archive of {_short(str(meta['reference']))}"


_OF_KIND = {
    "archive": _archive,
    "workflow": _workflow,
    "replies": _replies,
    "comparison": _comparison,
    "states": _states,
    "metrics": _metrics,
    "harvest": _harvest,
    "weights": _weights,
    "crosscoder": _crosscoder,
    "null": _null,
    "spiked": _spiked,
    "self-check": _self_check,
    "dequantised": _dequantised,
}


def _result(data: bytes) -> str:
    result = Result.from_json(data.decode())
    pair = " -> ".join(_short(result.model(side).reference) for side in SIDES)
    places = sorted({result.model(side).layer_name for side in SIDES})
    places = [places[0], *(where.removeprefix("block ") for where in places[1:])]
    counts = ", ".join(f"{len(result.of(side))} {side}-only" for side in reversed(SIDES))
    return visible(f"{pair} {'/'.join(places)}: {counts}; {_short(result.corpus.source)}")


def _short(reference: str) -> str:
    """A hub id as it is; of a path its last two folders."""
    path = Path(reference)
    return "/".join(path.parts[-2:]) if path.is_absolute() else reference
