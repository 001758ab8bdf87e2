"""Which result a command is about: by key, by folder, or by the settings."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_crossdiff.cli.configuration import read
from pytest_crossdiff.errors import InsufficientData, SettingsError
from pytest_crossdiff.gate.acceptance import AcceptanceRecord
from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.check import evaluate_budgets
from pytest_crossdiff.report import stored
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.settings import Settings, fields
from pytest_crossdiff.settings.parsing import parse
from pytest_crossdiff.store.cache import DamagedEntry, Manifest, Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_crossdiff.cli.configuration import Configuration
    from pytest_crossdiff.results.result import Result

MANIFEST = "manifest.json"
_SHORTEST = 4


class LoadedReport(NamedTuple):
    """A result as a report.

    root: the folder by which paths are shortened.  store: the cache that has it, or may have what
    it was made of.  layer: which of the layers that the settings name; "" where they name one.
    """

    report: Report
    root: Path
    store: Store
    layer: str = ""

    @property
    def result(self) -> Result:
        """What was measured."""
        return self.report.result

    @property
    def folder(self) -> Path:
        """Where the cache keeps it, if it does."""
        return self.store.entry("result", self.result.key).path


def find(named: str, flags: Mapping[str, str]) -> LoadedReport:
    """The result `named`; "" is that of the settings, with the verdict on it.

    Raises `InsufficientData` where there is none, `SettingsError` for a name that can't be one, or
    where the settings name several layers, `StoreError` for one that can't be read.
    """
    try:
        path = Path(named).expanduser()
        file = path / stored.RESULT if path.is_dir() else path
        is_file = file.is_file()
    except (RuntimeError, OSError, ValueError) as error:  # nobody's home, a name too long
        raise SettingsError(f"{named[:80]!r} can't be a file: {error}") from error
    if named and is_file:
        _check(file)
        return LoadedReport(stored.read(file), Path.cwd(), _store_of_file(file, flags))
    configuration = read(flags)
    store = Store.at(configuration.settings.cache_dir)
    if not named:
        configuration.settings.layer_of("baseline")
        return _of_settings(configuration, store)[0]
    if len(named) < _SHORTEST:
        raise SettingsError(
            f"{named!r} is neither a folder nor a key: {_SHORTEST} letters of one are needed"
        )
    report = stored.read_by_key(named, store)
    report = dataclasses.replace(report, result=configuration.add_labels(report.result))
    return LoadedReport(report, configuration.root, store)


def find_each(named: str, flags: Mapping[str, str]) -> list[LoadedReport]:
    """The same; "" is one for each layer that the settings name."""
    if named:
        return [find(named, flags)]
    configuration = read(flags)
    return _of_settings(configuration, Store.at(configuration.settings.cache_dir))


def measured_settings(result: Result, flags: Mapping[str, str]) -> Settings:
    """The settings that a result was measured with, as far as it tells, with `flags` over them."""
    written = {k: "" if v == "None" else v for k, v in result.settings.items()} | dict(flags)
    known = [f.name for f in fields() if f.name in written]
    sources = {n: f"--{n.replace('_', '-')}" if n in flags else "the result" for n in known}
    values: dict[str, Any] = {n: parse(n, written[n], sources[n]) for n in known}
    return Settings(**values, sources=sources)


def _of_settings(configuration: Configuration, store: Store) -> list[LoadedReport]:
    """That of each layer; one that was not measured is named, and left out where another was."""
    from pytest_crossdiff.cli.progress import on_stderr

    layers = configuration.settings.by_layer().items()
    each = [_of_layer(layer, settings, configuration, store) for layer, settings in layers]
    found = [one for one in each if isinstance(one, LoadedReport)]
    missing = [one for one in each if isinstance(one, InsufficientData)]
    if not found:
        raise missing[0]
    for error in missing:
        on_stderr().note(error.what)
    return found


def _of_layer(
    layer: str, settings: Settings, configuration: Configuration, store: Store
) -> LoadedReport | InsufficientData:
    from pytest_crossdiff.cli.progress import on_stderr
    from pytest_crossdiff.engine import pipeline

    found = pipeline.cached(settings, note=on_stderr().note)
    if found is None:
        return InsufficientData(
            "these settings have not been measured" + (f" at layer {layer}" if layer else ""),
            source=f"cache {store.root}",
            remedy="run `crossdiff train`, or name a result of `crossdiff cache list`",
        )
    result = configuration.add_labels(found.result)
    acceptance_record = AcceptanceRecord.from_paths(configuration.file, configuration.root)
    accepted, _ = acceptance_record.recognition(result, settings, "")
    report = Report.of(result, settings=settings, accepted=accepted)
    lenient = settings.inconclusive == "warn"
    check = evaluate_budgets(result, report, Budgets.configured(settings), lenient=lenient)
    return LoadedReport(
        dataclasses.replace(report, checks=(check,)), configuration.root, store, layer
    )


def _check(file: Path) -> None:
    """Hold a stored result against its digest, where that is beside it.  Raises `DamagedEntry`."""
    manifest = file.with_name(MANIFEST)
    if not manifest.exists():
        return
    known = Manifest.from_bytes(manifest.read_bytes(), str(manifest)).files.get(file.name)
    data = file.read_bytes()
    if known is not None and known != hashlib.sha256(data).hexdigest():
        raise DamagedEntry(f"{file} is not what was written ({len(data)} bytes)")


def _store_of_file(file: Path, flags: Mapping[str, str]) -> Store:
    """The cache that a file is in, else that of the settings, which a lone file can do without."""
    parents = file.absolute().parents
    if len(parents) > 3 and (parents[3] / "CACHEDIR.TAG").exists():
        return Store(parents[3])
    try:
        return Store.at(read(flags).settings.cache_dir)
    except SettingsError:
        return Store.at("")
