"""What was tried and what did not hold."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Tally:
    """A promise under attack.  tried: attacks.  problems: a line for each that it did not survive.

    noted: further figures, by name.
    """

    promise: str
    tried: int = 0
    problems: list[str] = field(default_factory=list)
    noted: dict[str, int] = field(default_factory=dict)

    def note(self, name: str, count: int = 1) -> None:
        self.noted[name] = self.noted.get(name, 0) + count

    def row(self) -> str:
        """A row of a Markdown table."""
        noted = ", ".join(f"{count} {name}" for name, count in sorted(self.noted.items()))
        return f"| {self.promise} | {self.tried} | {self.tried - len(self.problems)} | {noted} |"
