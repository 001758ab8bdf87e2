"""What the report's page weighs and how fast it opens, in a headless Chromium.

    PYTHONPATH=tests python -m benchmarks.speed.report_page

A result of 1,000 features and 200 differences, made up as in the tests.  First paint is what the
browser reports as first-contentful-paint.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from pytest_crossdiff.report.document import Report
from support.browser import Opened, started
from support.large_results import large

LOADS = 9
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]"


def main() -> None:
    report = Report.of(large(1000, 200))
    with started() as browser, tempfile.TemporaryDirectory() as folder:
        page = Opened(browser, report, Path(folder))
        (path,) = Path(folder).glob("*.html")
        print(f"{path.stat().st_size / 1e6:.2f} MB")
        seconds = []
        for _ in range(LOADS):
            page.go("")
            page.page.wait_for_function(f"() => {PAINTED}")
            seconds.append(page.page.evaluate(f"{PAINTED}.startTime") / 1000)
        least, middle, most = min(seconds), statistics.median(seconds), max(seconds)
        print(f"first paint {middle:.2f} s in the middle, {least:.2f} to {most:.2f}, {LOADS} loads")
        for scheme in ("light", "dark"):
            for width in (1280, 390):
                page.page.emulate_media(color_scheme=scheme)
                page.page.set_viewport_size({"width": width, "height": 844})
                for place in ("", "#/difference/C1", "#/feature/0.1"):
                    page.go(place)
                    found = len(page.findings())
                    print(f"{scheme}, {width} px, {place or 'overview'}: {found} serious by axe")
        print(f"{len(page.foreign)} foreign requests, {len(page.troubles)} console messages")


if __name__ == "__main__":
    main()
