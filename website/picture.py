"""README's picture: the top of a report page, as a browser shows it.

    crossdiff demo && python website/picture.py crossdiff-demo/crossdiff-report/*.html

Needs Chromium and the dependency group `browser`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parents[1] / "docs" / "img" / "verdict.png"
SIZE = {"width": 1100, "height": 1120}


def main(page: Path) -> None:
    """Open a report and keep what fits on a screen."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        opened = browser.new_page(viewport=SIZE, color_scheme="light")
        opened.goto(page.resolve().as_uri())
        opened.wait_for_timeout(1000)
        opened.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
