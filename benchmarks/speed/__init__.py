"""Time and memory: what `docs/evidence/performance.md` and `docs/reference/report.md` say of them.

Each module is a command, `python -m benchmarks.speed.NAME`, and says in its first lines what it
measures; `page` draws the tables from what was measured.
"""
