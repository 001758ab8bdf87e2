"""Malformed forms of JSON, bytes and folders, for hypothesis to draw from."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["../x", "/etc/x", "a\0b", "\x1b[2J", "::notice::x", "~nobody-here", "x" * 5000]
    )
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
NESTED = st.sampled_from([40, 300, 3_000, 100_000]).flatmap(
    lambda deep: st.sampled_from(["[" * deep + "]" * deep, '{"a":' * deep + "1" + "}" * deep])
)


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [at, *(place for key, one in inner for place in _places(one, (*at, key)))]


def _with(value: Any, place: tuple[Any, ...], new: Any, how: str) -> Any:
    if not place:
        return new
    made = copy.deepcopy(value)
    around = made
    for key in place[:-1]:
        around = around[key]
    if how == "removed":
        del around[place[-1]]
    else:
        around[place[-1]] = new
    return made


@st.composite
def spoilt_json(draw: st.DrawFn, valid: Any) -> bytes:
    """The JSON of `valid` with a value replaced, removed or nested deeply, cut, or damaged."""
    if draw(st.integers(0, 9)) == 0:
        return draw(NESTED).encode()
    made, places = valid, _places(valid)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from(places))
        try:
            made = _with(
                made, place, draw(ANY_JSON), draw(st.sampled_from(["replaced", "removed"]))
            )
        except (KeyError, IndexError, TypeError):  # an outer value was replaced before
            continue
    data = json.dumps(made).encode("utf-8", "surrogatepass")
    return draw(spoilt_bytes(data)) if draw(st.booleans()) else data


@st.composite
def spoilt_bytes(draw: st.DrawFn, valid: bytes) -> bytes:
    """The bytes with some of them replaced, or cut short."""
    data = bytearray(valid)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder
