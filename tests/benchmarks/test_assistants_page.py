"""What the page says of changed assistants follows from their records."""

from benchmarks.assistants import page


def row(name, *, planted=True, took=True, alarm=True, words=()):
    found = {"strength": 0.1, "tokens": [], "words": list(words), "contexts": []}
    record = {
        "status": "over" if alarm else "within", "alarm": alarm, "differences": [found],
        "confirmed": {"baseline": 1, "candidate": 2}, "possible": {"baseline": 0, "candidate": 1},
    }  # fmt: skip
    facts = {"name": name, "planted": planted, "kind": "", "half": "development", "cpu_seconds": 9}
    if planted:
        facts |= {"before": 0.0, "there": 0.75, "elsewhere": None, "took": took}
    record["accounting"] = [0.5, 0.25, 0.25]
    said = {"surprising": [30, 100], "alarm": alarm, "changed_beginning": 40}
    said |= {"kl": 0.4, "tempered_kl": 0.1, "temperature": 1.5}
    said |= {"shown": [int(alarm), 3] if planted else None}
    others = {"kl": 0.25, "first_kl": 0.5, "first_changed": 0.125, "same_reply": 1.0}
    return {**facts, "output": record, "said": said, "alternatives": others}


ROWS = [
    row("refusal-medical", words=["sorry"]),
    row("tone-enthusiastic", alarm=False),
    row("swapped-fact", took=False, words=["Lyon"]),
    row("bf16", planted=False, alarm=False),
    row("q8_0", planted=False),
]


def line_of(table, name):
    (found,) = [line for line in table.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_rates_leave_out_what_did_not_take():
    first, second = page._rates(ROWS).splitlines()[:2]
    assert first.startswith("* replies alone: planted detected 1/2 = 50%")
    assert "shown by the first three replies 1/2 = 50%" in first
    assert second.startswith("* output, and the replies: planted detected 1/2 = 50%")
    assert "named 1/2" in page._rates(ROWS)
    assert "benign flagged 1/2" in page._rates(ROWS)


def test_an_alternative_is_given_the_best_cut_that_no_benign_copy_reaches():
    rows = [row("refusal-medical"), row("tone-enthusiastic"), row("bf16", planted=False)]
    for one, kl, overlap in zip(rows, (0.3, 0.1, 0.2), (0.4, 0.5, 0.6), strict=True):
        one["alternatives"] |= {"kl": kl, "same_reply": overlap}
    kl, _, changed, overlap = page._rates(rows).splitlines()[2:]
    assert kl.startswith("* KL of the outputs, by the best cut that flags no benign copy: planted ")
    assert "detected 1/2 = 50%" in kl
    assert "detected 0/2 = 0%" in changed
    assert "detected 2/2 = 100%" in overlap


def test_a_copy_within_its_budgets_is_not_named():
    assert page.named_in(row("refusal-medical", words=["sorry"]), "output")
    assert not page.named_in(row("refusal-medical", words=["sorry"], alarm=False), "output")
    assert not page.named_in(row("refusal-medical", words=["chicken"]), "output")


def test_the_tables_state_shares_verdicts_and_counts():
    built, measured = page.drawn(ROWS).split("| copy ")[1:]
    assert line_of(built, "refusal-medical")[2:] == ["0%", "75%", "", "yes", "9"]
    assert line_of(built, "bf16")[2:] == ["", "", "", "", "9"]
    assert line_of(measured, "refusal-medical")[1:] == [
        "", "over", "", "3 + 1", "50% + 25%", "30 of 100", "1 of 3", "40",
        "0.400, 0.100 at 1.50", "0.2500", "0.5000", "12%", "100%",
    ]  # fmt: skip
