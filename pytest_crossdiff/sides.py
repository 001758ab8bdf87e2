"""The two models of a pair."""

from __future__ import annotations

from typing import Literal

Side = Literal["baseline", "candidate"]
SIDES: tuple[Side, Side] = ("baseline", "candidate")
