"""Devices that a comparison can be planned for, with what their makers say of them."""

from __future__ import annotations

import re
from typing import NamedTuple

from pytest_crossdiff.errors import SettingsError


class Device(NamedTuple):
    """One kind of device.

    memory: bytes.  flops: of dense bfloat16 products, a second.  bandwidth: of its memory, bytes a
    second.  0 flops: a CPU core as the cost model was fitted on.
    """

    name: str
    memory: float
    flops: float = 0.0
    bandwidth: float = 0.0


DEVICES = {
    device.name: device
    for device in (
        Device("cpu", 64e9),
        Device("l4", 24e9, 121e12, 300e9),
        Device("a10g", 24e9, 70e12, 600e9),
        Device("l40s", 48e9, 362e12, 864e9),
        Device("a100", 80e9, 312e12, 2039e9),
        Device("h100", 80e9, 989e12, 3350e9),
        Device("h200", 141e9, 989e12, 4800e9),
        Device("b200", 180e9, 2250e12, 8000e9),
    )
}
"""Data sheets of NVIDIA: bfloat16 without sparsity, SXM where there are several forms."""


class Group(NamedTuple):
    """So many devices of one kind."""

    device: Device
    size: int

    @property
    def name(self) -> str:
        """As a user writes it."""
        return f"{self.device.name}:{self.size}"


def parse(text: str) -> Group:
    """`h100:8` is eight of a kind, `h100` is one.  Raises `SettingsError`."""
    found = re.fullmatch(r"(?P<name>[a-z0-9]+)(:(?P<count>[1-9][0-9]{0,4}))?", text.strip().lower())
    device = DEVICES.get(found["name"]) if found else None
    if found is None or device is None:
        raise SettingsError(
            f"{text!r} is no device that can be planned for",
            source="--on",
            remedy=f"give one of {', '.join(DEVICES)}, with a number: h100:8",
        )
    return Group(device, int(found["count"] or 1))
