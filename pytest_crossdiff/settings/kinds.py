"""What a setting is, and what its text may be: a parser for each kind, which raises `ValueError`.

This module is imported at every pytest start, so it imports nothing that pytest hasn't.
"""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    Literal,
    Protocol,
    TypeAlias,
    TypeVar,
    cast,
    overload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PathKind = Literal["", "model", "file"]
OUTPUT: Final = "output"
BOUNDED_FROM = 40_960
"""Training pairs from which on the widths bound the number of features that is chosen."""
MIN_STRENGTH_BLOCK, MIN_STRENGTH_OUTPUT = 0.0002, 0.001
"""Training continued without a plant leaves a strength of 0.0001 at most in a block and of 0.0004
in the output, plants 0.0003 and 0.004 (docs/evidence/organisms.md).
"""
Layer: TypeAlias = "int | float | Literal['output']"
"""Where a model is read: after a block, or what it predicts in the end."""
Layers: TypeAlias = "Layer | tuple[Layer, ...]"
T = TypeVar("T")


class Given(Protocol):
    """What a setting is read from: the values that were given, by name."""

    @property
    def given(self) -> Mapping[str, object]: ...


class Setting(Generic[T]):
    """A row of the table, and the attribute of `Settings` that it describes.

    what: its help.  env: an environment variable that sets it.  ini_only: neither flag nor marker
    may.  several: a marker may give a list.  decides: read only when the verdict is drawn, so a
    change needs no new measurement.  path: a relative value is relative to the place where it is
    written; "model" may be a hub id.
    """

    name: str

    def __init__(
        self,
        default: T,
        parse: Callable[[str], T],
        what: str,
        *,
        env: str = "",
        ini_only: bool = False,
        several: bool = False,
        decides: bool = False,
        path: PathKind = "",
    ) -> None:
        self.default = default
        self.parse = parse
        self.help = what
        self.env = env
        self.ini_only = ini_only
        self.several = several
        self.decides = decides
        self.path = path

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, settings: None, owner: type) -> Setting[T]: ...

    @overload
    def __get__(self, settings: Given, owner: type) -> T: ...

    def __get__(self, settings: Given | None, owner: type) -> Setting[T] | T:
        if settings is None:
            return self
        return cast("T", settings.given.get(self.name, self.default))

    def __set__(self, settings: Given, value: T) -> None:
        raise AttributeError(f"settings can't be changed: {self.name}")


def text(raw: str) -> str:
    """Whatever is written, without the space around it."""
    return raw.strip()


def layer(raw: str) -> Layer:
    """A block, by its index or as a fraction of the depth, or the output."""
    if raw.strip() == OUTPUT:
        return OUTPUT
    try:
        return int(raw)
    except ValueError:
        pass
    try:
        value = float(raw)
    except ValueError:
        raise ValueError(
            f"expected a block's index, a fraction of the depth, or {OUTPUT}"
        ) from None
    if not 0.0 <= value <= 1.0:
        raise ValueError("a fraction of the depth lies between 0.0 and 1.0")
    return value


def layers(raw: str) -> Layers:
    """One layer, or several separated by commas, each once."""
    first, *others = dict.fromkeys(layer(part) for part in raw.split(","))
    return (first, *others) if others else first


def optional_layers(raw: str) -> Layers | None:
    """The same, or nothing."""
    return layers(raw) if raw.strip() else None


def extra_probe_layers(raw: str) -> str:
    """The same, or none, as text."""
    found = dict.fromkeys(layer(part) for part in raw.split(",") if part.strip())
    return ",".join(map(str, found))


def names(raw: str) -> tuple[str, ...]:
    """Names with commas or line breaks between, each once."""
    parts = raw.replace("\n", ",").split(",")
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def flag(raw: str) -> bool:
    """Yes or no, in the words that configuration files have for them."""
    known = {"true": True, "yes": True, "on": True, "1": True}
    known |= {"false": False, "no": False, "off": False, "0": False}
    try:
        return known[raw.strip().lower()]
    except KeyError:
        raise ValueError("expected true or false") from None


def integer(low: int, high: int = 10**12) -> Callable[[str], int]:
    """A whole number from `low` to `high`; an underscore may part its digits."""

    def parse(raw: str) -> int:
        try:
            value = int(raw.replace("_", ""))
        except ValueError:
            raise ValueError("expected a whole number") from None
        if value < low:
            raise ValueError(f"must be at least {low}")
        if value > high:
            raise ValueError(f"must be at most {high}")
        return value

    return parse


def number(low: float, high: float, *, open_low: bool = False) -> Callable[[str], float]:
    """A number from `low` to `high`; open_low: but not `low` itself."""

    def parse(raw: str) -> float:
        try:
            value = float(raw)
        except ValueError:
            raise ValueError("expected a number") from None
        if not low <= value <= high or (open_low and value == low):  # also refuses nan
            raise ValueError(f"must lie between {low:g} and {high:g}")
        return value

    return parse


def optional_number(low: float, high: float) -> Callable[[str], float | None]:
    """The same, or "none"."""
    parse = number(low, high)
    return lambda raw: None if raw.strip().lower() in ("", "none") else parse(raw)


def choice(*names: str) -> Callable[[str], str]:
    """One of `names`."""

    def parse(raw: str) -> str:
        if raw.strip() not in names:
            raise ValueError(f"expected one of {', '.join(names)}")
        return raw.strip()

    return parse


ROLES = ("system", "user", "assistant", "text")
"""What a column of the corpus may hold: a turn of a role, or running text."""


def corpus_columns(raw: str) -> str:
    """Columns separated by commas, each with its role before it where it is not the usual one."""
    parts = [part.strip() for part in raw.split(",") if part.strip()]
    roles = [role if role in ROLES else "" for role in (p.partition(":")[0] for p in parts)]
    if any(part.rstrip(":") in ROLES and part.endswith(":") for part in parts):
        raise ValueError("a column's name is missing after its role")
    if len(parts) > 1 and "text" in roles:
        raise ValueError("text: is for a column that is read alone")
    if len(parts) > 2 and not all(roles):
        raise ValueError("name the role of each of several columns: system:a, user:b, assistant:c")
    return ", ".join(parts)


_METAVARS = {
    "MODEL": "baseline candidate",
    "MODELS": "references",
    "LAYERS": "layer baseline_layer candidate_layer probe_layers",
    "NAME": "baseline_blocks candidate_blocks",
    "PATH": "corpus reference_corpus",
    "KEYS": "corpus_column",
    "DIR": "report_dir cache_dir",
    "FORMATS": "report report_on_failure",
    "TRACKERS": "loggers",
    "TYPE": "dtype",
    "DEVICE": "device",
    "RATE": "learning_rate",
    "R2": "min_r2",
    "STRENGTH": "min_strength max_candidate_only_strength max_baseline_only_strength",
    "FACTOR": "accepted_growth",
    "NATS": "max_kl max_kl_p99",
    "RATIO": "max_perplexity_ratio",
}


def metavar(setting: Setting[Any]) -> str:
    """What stands for the value in a command's help: `N`, `SHARE`, `LAYERS`, `own|plain`."""
    for shown, named in _METAVARS.items():
        if setting.name in named.split():
            return shown
    kind = setting.parse.__qualname__.partition(".")[0]
    if kind == "choice":
        return "|".join((setting.parse.__closure__ or ())[0].cell_contents)
    return {"integer": "N", "flag": "true|false"}.get(kind, "SHARE")


FIRST = ("baseline", "candidate", "corpus", "layer", "max_candidate_only")
"""The settings that help begins with: those that one needs first."""


def in_order_of_use(settings: Iterable[Setting[Any]]) -> list[Setting[Any]]:
    """`FIRST`, then the others in their order."""
    rank = {name: at for at, name in enumerate(FIRST)}
    return sorted(settings, key=lambda setting: rank.get(setting.name, len(rank)))


FORMATS = ("html", "json", "md")
"""The forms of a report."""
TRACKERS = ("mlflow", "wandb", "trackio")
"""Experiment trackers that a measurement can be logged to."""


def formats(raw: str) -> str:
    """Some of `FORMATS`, separated by commas, "" for "none"."""
    return _some_of(FORMATS, raw)


def trackers(raw: str) -> str:
    """Some of `TRACKERS`, in the same way."""
    return _some_of(TRACKERS, raw)


def _some_of(known: tuple[str, ...], raw: str) -> str:
    names = [name.strip() for name in raw.split(",") if name.strip()]
    if [name.lower() for name in names] == ["none"]:
        return ""
    if any(name not in known for name in names):
        raise ValueError(f"expected some of {', '.join(known)}, or none")
    return ",".join(dict.fromkeys(names))
