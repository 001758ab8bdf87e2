"""The rows of the table that say what becomes of a measurement: reports, statuses, the cache.

Imported at every pytest start, like the table.
"""

from __future__ import annotations

from pytest_crossdiff.settings import kinds
from pytest_crossdiff.settings.kinds import Setting


class OutcomeSettings:
    """The last rows of `Settings`."""

    # The report
    report = Setting(
        "",
        kinds.formats,
        "formats of the report that is written for every measured pair",
        decides=True,
    )
    report_on_failure = Setting(
        "html", kinds.formats, "formats of the report when a verdict fails", decides=True
    )
    report_dir = Setting(
        "",
        kinds.text,
        "folder of the reports; none: crossdiff-report in pytest's rootdir",
        decides=True,
        path="file",
    )
    inconclusive = Setting(
        "fail",
        kinds.choice("fail", "warn"),
        "what an inconclusive verdict does to the test",
        decides=True,
    )
    # The cache
    cache_dir = Setting(
        "", kinds.text, "folder of the cache; none: the user's cache folder", path="file"
    )
    train = Setting(
        "auto",
        kinds.choice("auto", "never"),
        "never: only read the cache, and report an error if it has no result",
    )
