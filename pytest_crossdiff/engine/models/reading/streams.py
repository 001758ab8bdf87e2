"""Where the residual stream stands in what a block returns, and how another one is put there.

Most blocks return (b, p, d), alone or first in a tuple. Others return positions first, width before
positions, several parallel streams, or more positions than there are tokens: a layout says which.
Parallel streams are read side by side: s streams of width d are one vector of s * d numbers.

Axes: b texts of a batch, p positions, d model width, s parallel streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn


class StreamLayout(NamedTuple):
    """batch, position: the axes of the block's tensor.  last: where it has more positions than
    there are tokens, whether the last ones are the tokens', not the first.
    """

    batch: int = 0
    position: int = 1
    last: bool = False

    def read(self, output: object, positions: int) -> Tensor:
        """The residual stream in a block's output, shape (b, p, d); zeros at places behind those
        that it has (see `source_and_target`).
        """
        found = self._view(tensor_of(output), positions).flatten(2)
        missing = positions - found.shape[1]
        return nn.functional.pad(found, (0, 0, 0, missing)) if missing > 0 else found

    def write(self, output: object, stream_bpd: Tensor) -> object:
        """The block's output with another residual stream in it; `output` stays as it is."""
        old = tensor_of(output)
        if old.shape == stream_bpd.shape and self == PLAIN:
            return _with_tensor(output, stream_bpd)
        new = old.clone()
        view = self._view(new, stream_bpd.shape[1])
        view.copy_(stream_bpd[:, : view.shape[1]].reshape(view.shape))
        return _with_tensor(output, new)

    def _view(self, tensor: Tensor, positions: int) -> Tensor:
        moved = tensor.movedim((self.batch, self.position), (0, 1))
        return moved[:, -positions:] if self.last else moved[:, :positions]


PLAIN = StreamLayout()


def possible_layouts(output: object, texts: int, positions: int) -> list[StreamLayout]:
    """The layouts that a block's output on (texts, positions) tokens can have; none where it is not
    a vector at each place.  Two where it has more positions than there are tokens.
    """
    shape = tuple(getattr(tensor_of(output, missing_ok=True), "shape", ()))
    if len(shape) < 3:
        return []
    if shape[:2] == (texts, positions):
        return [PLAIN]
    batch = [axis for axis, size in enumerate(shape) if size == texts]
    position = [axis for axis, size in enumerate(shape) if size == positions]
    if len(batch) == len(position) == 1:
        return [StreamLayout(batch[0], position[0])]
    if len(shape) == 3 and shape[0] == texts and shape[1] > positions:
        return [StreamLayout(), StreamLayout(last=True)]
    return []


def tensor_of(output: object, *, missing_ok: bool = False) -> Any:  # noqa: ANN401
    """The tensor in a block's output that carries the residual stream: itself, or the first in a
    tuple or mapping.
    """
    if isinstance(output, Tensor):
        return output
    parts = output.values() if isinstance(output, Mapping) else output
    if isinstance(output, (tuple, list, Mapping)):
        found = next((part for part in parts if isinstance(part, Tensor)), None)  # type: ignore[attr-defined]
        if found is not None:
            return found
    assert missing_ok, f"{type(output).__name__} holds no tensor"
    return None


def _with_tensor(output: object, new: Tensor) -> object:
    old = tensor_of(output)
    if isinstance(output, Mapping):
        changed: Any = type(output)(**output) if hasattr(output, "to_tuple") else dict(output)
        changed[next(key for key, part in output.items() if part is old)] = new
        return changed
    if isinstance(output, (tuple, list)):
        parts = [new if part is old else part for part in output]
        return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)
    return new
