"""What is known of each model that a benchmark makes, in a file that two may write side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from filelock import FileLock

if TYPE_CHECKING:
    from pathlib import Path


class Facts:
    """Facts by the model's name: seconds to make, whether what was planted took."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, dict[str, Any]]:
        """Those of all models that were made so far."""
        return json.loads(self._path.read_text("utf-8")) if self._path.exists() else {}

    def add(self, name: str, facts: dict[str, Any]) -> None:
        """Keep those of one model."""
        with FileLock(f"{self._path}.lock"):
            known = self.read() | {name: facts}
            self._path.write_text(json.dumps(known, indent=1), encoding="utf-8")
