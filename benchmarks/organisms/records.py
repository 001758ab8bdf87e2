"""Records that are kept as they come, so that an interrupted run loses nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Records(dict[str, dict[str, Any]]):
    """Records by name, read from and appended to a file with one a line; the last one counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        super().__init__((r.pop("name"), r) for line in lines if (r := json.loads(line)))

    def add(self, name: str, record: dict[str, Any]) -> None:
        """Keep and print a record."""
        self[name] = record
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, **record}, ensure_ascii=False) + "\n")
        short = {k: v for k, v in record.items() if k not in ("differences", "seconds")}
        print(name, short, flush=True)
