"""Pages of reports opened in a real browser."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from pytest_crossdiff.report.write import write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_crossdiff.report.document import Report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ("background-networking", "component-update", "sync", "gpu", "quic")
ARGUMENTS = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in QUIET)]
PATIENCE = 60_000
"""Milliseconds before a step counts as stuck: many, for machines that are busy."""
SERIOUS = ("serious", "critical")


@contextlib.contextmanager
def started() -> Iterator[Any]:
    """A headless Chromium; skips, saying why, where there is none."""
    driver = pytest.importorskip(
        "playwright.sync_api", reason="the dependency group `browser` is missing"
    )
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium: install it, e.g. apt-get install chromium")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=ARGUMENTS, timeout=PATIENCE
        )
        yield browser
        browser.close()


class Opened:
    """A report's page.  troubles: what the console, dialogs and errors said.  requests: for more
    than the page itself.
    """

    def __init__(self, browser: Any, report: Report, folder: Path, **context: Any) -> None:
        (path,) = write(report, ["html"], folder)
        self.url = path.as_uri()
        self.context = browser.new_context(**context)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.troubles.append("dialog"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.go("")

    def go(self, hash_: str) -> None:
        """Load the page again, at a deep link where one is given."""
        self.page.goto("about:blank")
        self.page.goto(self.url + hash_)

    def unfold(self) -> None:
        """Open everything that is folded away."""
        self.page.locator("details").evaluate_all("all => all.forEach(d => d.open = true)")

    @property
    def foreign(self) -> list[str]:
        """Requests for anything but the page itself and what is written in it."""
        own = (self.url, "about:", "data:")
        return [url for url in self.requests if not url.startswith(own)]

    def texts(self, selector: str) -> list[str]:
        return [" ".join(text.split()) for text in self.page.locator(selector).all_inner_texts()]

    def findings(self, *rules: str) -> list[str]:
        """What axe-core, or only these rules of it, calls serious or critical."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
        found = axe.run(self.page, options=options).response["violations"]
        return [
            f"{rule['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
            for rule in found
            if rule["impact"] in SERIOUS
            for node in rule["nodes"][:3]
        ]
