"""A sample of twelve families of the scan: each kind of unusual build, and two usual ones."""

from pathlib import Path

import pytest

from benchmarks.families import table
from benchmarks.families.classes import Job, jobs
from benchmarks.families.scan import scan

ROOT = Path(__file__).parents[2]
SAMPLE = {
    Job("causal", "llama", "LlamaForCausalLM"): ("right", "right"),
    Job("causal", "gemma3n_text", "Gemma3nForCausalLM"): ("right", "right"),
    Job("causal", "hrm_text", "HrmTextForCausalLM"): ("right", "right"),
    Job("causal", "xlnet", "XLNetLMHeadModel"): ("right", "right"),
    Job("masked", "bert", "BertForMaskedLM"): ("right", "right"),
    Job("masked", "albert", "AlbertForMaskedLM"): ("right", "right"),
    Job("masked", "fnet", "FNetForMaskedLM"): ("right", "right"),
    Job("encoder-decoder", "t5", "T5ForConditionalGeneration"): ("right", "right"),
    Job("image-text", "blip-2", "Blip2ForConditionalGeneration"): ("right", "right"),
    Job("tags", "bros", "BrosForTokenClassification"): ("refused", "refused"),
    Job("image-text", "paligemma", "PaliGemmaForConditionalGeneration"): ("right", "right"),
    Job("tags", "longformer", "LongformerForTokenClassification"): ("right", "right"),
}


@pytest.mark.parametrize(("job", "expected"), SAMPLE.items(), ids=[job.family for job in SAMPLE])
def test_a_family_is_read_right_or_refused(tmp_path, job, expected):
    row = scan(job, str(tmp_path / "model"))
    assert row["built"] is True
    assert (row["block"], row["output"]) == expected, (row["block_note"], row["output_note"])
    if row["block"] == "refused":
        return
    assert row["effects"].partition(":")[0] in ("right", "unconfirmed")
    assert row["self_check"]["independent"] < 1e-6
    if job.mapping == "encoder-decoder":
        assert row["decoder"] == "right"


def test_the_sample_is_of_classes_that_the_scan_lists():
    listed = {(job.family, job.architecture) for job in jobs()}
    assert {(job.family, job.architecture) for job in SAMPLE} <= listed


def test_the_page_shows_the_committed_results():
    rows = table.rows_of(ROOT / "benchmarks" / "families" / "results" / "families.jsonl")
    page = (ROOT / "docs" / "reference" / "model-families.md").read_text("utf-8")
    for made in (table.totals(rows), table.special(rows), table.exceptions(rows)):
        assert made in page
