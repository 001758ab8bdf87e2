"""Which model families are read right: every class of transformers' auto mappings that reads text,
built tiny with random weights, saved, loaded as a user would, and compared with independent values.

    python -m benchmarks.families [--only llama,bert] [--mappings causal,masked] [--table]

A full run takes about fifteen minutes of one core and belongs before each release. It writes
`benchmarks/families/results/families.jsonl`, a line a class, and the table in
`docs/reference/model-families.md`.
"""
