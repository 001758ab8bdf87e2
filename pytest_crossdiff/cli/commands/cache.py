"""`crossdiff cache`: what is kept, how much it is, whether it is whole, and away with it."""

from __future__ import annotations

import argparse
import re
import time
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.arguments import command, described
from pytest_crossdiff.cli.exits import FINE, UNMEASURED
from pytest_crossdiff.cli.terminal import Terminal, age, table
from pytest_crossdiff.text import plural, size, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_crossdiff.cli.arguments import Commands
    from pytest_crossdiff.store.cache import EntryInfo, Store
    from pytest_crossdiff.store.remote import Carried

KINDS = (
    "states",
    "metrics",
    "reading",
    "writing",
    "population",
    "replies",
    "comparison",
    "harvest",
    "weights",
    "dequantised",
    "self-check",
    "crosscoder",
    "null",
    "spiked",
    "result",
    "workflow",
    "archive",
)
CARRIED = tuple(kind for kind in KINDS if kind != "dequantised")
"""What is pushed and pulled unless kinds are named: whole weights are nothing to share unasked."""
MORE = """\
An entry is one step of a measurement: states (what one model's head reads on held-out text, with
the head), metrics (how much two models' predictions differ), reading (the log-probabilities that
one model gives to held-out text), writing (the words that one model writes after the first words
of held-out text), population (what reference models say of a pair), replies (what
one model answers to the corpus's prompts), comparison (of two models' replies), harvest (one
model's activations, the large ones), weights (a small sample of one model's weights), dequantised
(what a GGUF file is made to, the largest; pushed and pulled only when it is named), self-check
(whether a model is read as it runs), crosscoder (a trained dictionary), null or spiked (controls),
result (the differences; small, and all that a finished pair is answered from), workflow (what the
model and what other texts have changed since the last sign-off) or archive (configuration and
tokenizer of a model whose weights may be gone). Any may be removed: the next run rebuilds what it
needs, except what was read of a model that is gone."""
EXAMPLES = """\
  crossdiff cache list                      every entry, the largest first
  crossdiff cache list --kind result        the keys that `crossdiff show` takes
  crossdiff cache size
  crossdiff cache prune 3f2a81              one entry by the first letters of its key
  crossdiff cache prune --older-than=30d    what nobody has read for a month
  crossdiff cache prune --kind harvest --keep=10GB --dry-run
  crossdiff cache verify                    read everything and compare digests
  crossdiff cache push s3://team/crossdiff  copy what is finished to a bucket
  crossdiff cache pull s3://team/crossdiff --kind harvest"""
PRUNE = """\
An entry that a process is at work on stays.  Without --older-than and --keep everything of
the chosen kinds and states goes; nothing is chosen by default."""
_SECONDS = {"min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_BYTES = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def add(commands: Commands) -> None:
    """Add the command and its own commands."""
    top = commands.add_parser(
        "cache", **described("list, measure, prune and verify what is kept", MORE, EXAMPLES)
    )
    inner = top.add_subparsers(dest="cache_command", metavar="COMMAND", required=True)
    listing = command(inner, "list", "every entry, the largest first", run_list)
    total = command(inner, "size", "how much there is of each kind", run_size)
    prune = command(inner, "prune", "remove entries", run_prune, more=PRUNE)
    verify = command(inner, "verify", "read every finished entry and compare digests", run_verify)
    up = command(inner, "push", "copy finished entries to a bucket or another place", run_push)
    down = command(inner, "pull", "copy finished entries from there, digests checked", run_pull)
    for parser in (up, down):
        parser.add_argument("url", metavar="URL", help="as fsspec has it: s3://…, gs://…, a folder")
    for parser in (listing, total, prune, verify, up, down):
        parser.add_argument(
            "--cache-dir", metavar="DIR", help="the cache; not that of the settings"
        )
    for parser in (listing, prune, verify, up, down):
        parser.add_argument(
            "--kind",
            action="append",
            choices=KINDS,
            metavar="KIND",
            help="only these; may be given again",
        )
    prune.add_argument("keys", metavar="KEY", nargs="*", help="the first letters of a key")
    prune.add_argument(
        "--older-than", metavar="AGE", type=_age, help="unused for 90min, 12h, 30d, 8w"
    )
    prune.add_argument(
        "--keep",
        metavar="SIZE",
        type=_size,
        help="the longest unused go until 500MB, 10GB are left",
    )
    prune.add_argument("--damaged", action="store_true", help="only those that were set aside")
    prune.add_argument("--unfinished", action="store_true", help="only those that were interrupted")
    prune.add_argument("--all", action="store_true", help="everything")
    prune.add_argument("-n", "--dry-run", action="store_true", help="only say what would go")


def run_list(options: argparse.Namespace, out: Terminal) -> int:
    """Write a table."""
    from pytest_crossdiff.cli.contents import describe

    store = _store(options)
    entries = sorted(_chosen(store, options.kind), key=lambda info: -info.size)
    _write_total(out, store, entries)
    if not entries:
        return FINE
    what = describe(store, entries)
    head = "kind", "key", "size", "unused for", "state", "what it is"
    rows = [
        (info.kind, info.key[:12], size(info.size), age(info.used), info.state, text)
        for info, text in zip(entries, what, strict=True)
    ]
    top, *lines = table(head, rows, out.width)
    for line in (out.paint(top, "bold"), *lines):
        out.line(line)
    return FINE


def run_size(options: argparse.Namespace, out: Terminal) -> int:
    """Write a line a kind."""
    store = _store(options)
    entries = store.list()
    _write_total(out, store, entries)
    for kind in KINDS:
        own = [info for info in entries if info.kind == kind]
        if own:
            out.line(f"  {kind:<10}  {len(own):>4}  {size(sum(info.size for info in own)):>7}")
    return FINE


def run_prune(options: argparse.Namespace, out: Terminal) -> int:
    """Remove, or say what would be removed."""
    from pytest_crossdiff.errors import SettingsError

    wanted = ("older_than", "keep", "damaged", "unfinished", "all", "kind", "keys")
    values = [getattr(options, name) for name in wanted]
    if all(value is None or value is False or value == [] for value in values):
        raise SettingsError(
            "nothing is chosen",
            remedy="give a key, --older-than, --keep, --kind, --damaged, --unfinished or --all",
        )
    store = _store(options)
    states = [s for s in ("damaged", "unfinished") if getattr(options, s)]
    known = _chosen(store, options.kind)
    for key in options.keys:
        if not any(info.key.startswith(key) for info in known):
            raise SettingsError(
                f"no entry has a key that begins with {key!r}",
                remedy="crossdiff cache list shows the keys",
            )
    entries = [
        info
        for info in known
        if (not states or info.state in states)
        and (not options.keys or info.key.startswith(tuple(options.keys)))
    ]
    entries.sort(key=lambda info: info.used)
    if options.older_than is not None:
        latest = time.time() - options.older_than
        entries = [info for info in entries if info.used < latest]
    if options.keep is not None:
        entries = _surplus(entries, store, options.keep)
    busy = 0
    freed = []
    for info in entries:
        if not (store.is_free(info) if options.dry_run else store.remove(info)):
            busy += 1
            continue
        freed.append(info)
        out.line(f"{info.kind} {info.key[:12]}  {size(info.size)}, unused for {age(info.used)}")
    verb = "would remove" if options.dry_run else "removed"
    count = plural(len(freed), "entry", "entries")
    out.line(f"{verb} {count}, {size(sum(info.size for info in freed))}")
    if busy:
        out.line(f"left {busy} that a process is at work on")
    return FINE


def run_verify(options: argparse.Namespace, out: Terminal) -> int:
    """Read everything; what is damaged is named and left for the next run to set aside."""
    from pytest_crossdiff.store.cache import DamagedEntry

    store = _store(options)
    whole, broken, passed = 0, 0, 0
    for info in _chosen(store, options.kind):
        if not info.complete:
            passed += 1
            continue
        entry = store.entry(info.kind, info.key)
        try:
            manifest = entry.read_manifest()
            for name in manifest.files if manifest else ():
                entry.verified_path(name)
            whole += 1
        except DamagedEntry as damage:
            broken += 1
            out.line(out.paint(f"✗ {info.kind} {info.key[:12]}: {visible(damage.what)}", "red"))
    text = f"{whole} whole, {broken} damaged"
    out.line(f"{text}, {passed} unfinished or set aside and not looked at" if passed else text)
    if broken:
        out.line("the next run that needs a damaged entry sets it aside and makes it again")
    return UNMEASURED if broken else FINE


def run_push(options: argparse.Namespace, out: Terminal) -> int:
    """Copy what is not there yet."""
    from pytest_crossdiff.store.remote import push

    return _carried(push(_store(options), options.url, options.kind or CARRIED), "pushed", out)


def run_pull(options: argparse.Namespace, out: Terminal) -> int:
    """Copy what is not here yet."""
    from pytest_crossdiff.store.remote import pull

    return _carried(pull(_store(options), options.url, options.kind or CARRIED), "pulled", out)


def _carried(entries: Sequence[Carried], verb: str, out: Terminal) -> int:
    for one in entries:
        out.line(f"{one.kind} {one.key[:12]}  {size(one.size)}")
    count = plural(len(entries), "entry", "entries")
    out.line(f"{verb} {count}, {size(sum(one.size for one in entries))}")
    return FINE


def _store(options: argparse.Namespace) -> Store:
    from pytest_crossdiff.store.cache import Store

    if options.cache_dir:
        return Store.at(options.cache_dir)
    from pytest_crossdiff.cli.configuration import read

    return Store.at(read({}).settings.cache_dir)


def _chosen(store: Store, kinds: list[str] | None) -> list[EntryInfo]:
    return [info for info in store.list() if not kinds or info.kind in kinds]


def _surplus(entries: list[EntryInfo], store: Store, keep: int) -> list[EntryInfo]:
    """Of `entries`, the longest unused first, as many as it takes to leave `keep` bytes."""
    left = store.usage().size
    gone = []
    for info in entries:
        if left <= keep:
            break
        left -= info.size
        gone.append(info)
    return gone


def _write_total(out: Terminal, store: Store, entries: Iterable[EntryInfo]) -> None:
    sizes = [info.size for info in entries]
    count = plural(len(sizes), "entry", "entries")
    out.line(f"{visible(str(store.root))}: {count}, {size(sum(sizes))}")


def _age(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(min|h|d|w)", text.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: give e.g. 90min, 12h, 30d or 8w")
    return float(found[1]) * _SECONDS[found[2]]


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]b)?", text.strip().lower())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give e.g. 500MB or 10GB")
    return int(float(found[1]) * _BYTES.get(found[2] or "", 1))
