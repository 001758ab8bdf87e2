"""A hook of mkdocs: a block of TOML followed by the same settings as INI become two tabs.

The pages hold both as plain blocks, one after the other, so that they read well on any host.
"""

from __future__ import annotations

import re
import textwrap

TWINS = re.compile(r"^(```toml\n.*?^```)\n\n(```ini\n.*?^```)$", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Called by mkdocs for every page."""
    return TWINS.sub(lambda found: f"{_tab('TOML', found[1])}\n\n{_tab('INI', found[2])}", markdown)


def _tab(name: str, block: str) -> str:
    return f'=== "{name}"\n\n{textwrap.indent(block, "    ")}'
