"""README as the package index shows it, made when a distribution is built.

In README links and images are relative, so that they work on any host of the repository. A package
index has no files beside it: there they lead to the release's tag in the repository, where
`[project.urls]` names it as `Source`.  Otherwise the text of a link is left, and images are left
out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?://|#)([^)\s]+)\)")


def readme(text: str, source: str, version: str) -> str:
    """The text without relative links.  source: address of the repository, "" where unknown."""

    def absolute(found: re.Match[str]) -> str:
        image, shown, target = found.groups()
        if not source:
            return "" if image else shown
        kind = "raw" if image else "blob"
        return f"{image}[{shown}]({source.rstrip('/')}/{kind}/v{version}/{target})"

    return re.sub(r"\n{3,}", "\n\n", LINK.sub(absolute, text))


class ReadmeHook(MetadataHookInterface):
    """Fills the dynamic field `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling."""
        root = Path(self.root)
        text = (root / "README.md").read_text("utf-8")
        found = re.search(r'VERSION = "(.+?)"', (root / "pytest_crossdiff/version.py").read_text())
        source = metadata.get("urls", {}).get("Source", "")
        version = found[1] if found else ""
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": readme(text, source, version),
        }
