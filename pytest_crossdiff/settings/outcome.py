"""The rows of the table that say what becomes of a measurement: further budgets, reports,
statuses, the cache.

Imported at every pytest start, like the table.
"""

from __future__ import annotations

from pytest_crossdiff.settings.kinds import (
    Setting,
    choice,
    formats,
    number,
    optional_number,
    text,
    trackers,
)


class OutcomeSettings:
    """The last rows of `Settings`."""

    # Budgets over references, on the output and on replies
    reference_level = Setting(
        0.2,
        number(0.0, 0.5, open_low=True),
        "maximum probability of flagging a model that is like the references; 0.2 needs four "
        "references, 0.1 nine",
        decides=True,
    )
    references_judge = Setting(
        "both",
        choice("both", "candidate"),
        "models that the references judge: both, or the candidate alone, which is right where the "
        "references were made from the baseline",
        decides=True,
    )
    max_kl = Setting(
        None,
        optional_number(0.0, 100.0),
        "maximum mean KL divergence of the candidate's predictions from the baseline's, in nats "
        "per token; none: no limit",
        decides=True,
    )
    max_kl_p99 = Setting(
        None,
        optional_number(0.0, 100.0),
        "maximum 99th percentile of the KL divergence over tokens, in nats; none: no limit",
        decides=True,
    )
    min_same_top = Setting(
        None,
        optional_number(0.0, 1.0),
        "minimum share of tokens at which both models predict the same token; none: no limit",
        decides=True,
    )
    max_probability_change = Setting(
        None,
        optional_number(0.0, 1.0),
        "maximum root mean square change of the actual token's probability; none: no limit",
        decides=True,
    )
    max_perplexity_ratio = Setting(
        None,
        optional_number(0.0, 1000.0),
        "maximum ratio of the candidate's perplexity to the baseline's on held-out text; none: no "
        "limit",
        decides=True,
    )
    max_surprising_replies = Setting(
        None,
        optional_number(0.0, 1.0),
        "maximum share of the candidate's replies that are surprising to the baseline (at least "
        "0.5 nats per token less likely than its own replies); none: no limit",
        decides=True,
    )
    min_changed_replies = Setting(
        0.0,
        number(0.0, 1.0),
        "minimum share of the answers in which a difference changes the most likely token; "
        "differences that change fewer do not count; 0: every difference counts",
        decides=True,
    )
    # The report
    report = Setting(
        "",
        formats,
        "formats of the report that is written for every measured pair",
        decides=True,
    )
    report_on_failure = Setting(
        "html", formats, "formats of the report when a verdict fails", decides=True
    )
    report_dir = Setting(
        "",
        text,
        "folder of the reports; none: crossdiff-report in pytest's rootdir",
        decides=True,
        path="file",
    )
    loggers = Setting(
        "",
        trackers,
        "experiment trackers that every measured pair is logged to, separated by commas: mlflow, "
        "wandb, trackio",
        decides=True,
    )
    inconclusive = Setting(
        "fail",
        choice("fail", "warn"),
        "what an inconclusive verdict does to the test",
        decides=True,
    )
    # The cache
    cache_dir = Setting("", text, "folder of the cache; none: the user's cache folder", path="file")
    train = Setting(
        "auto",
        choice("auto", "never"),
        "never: only read the cache, and report an error if it has no result",
    )
