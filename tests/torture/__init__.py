"""Attacks on the promises of docs/explanation/reliability.md: kills, damage, races, full disks and
malformed input.

`test_*.py` are the short form, for every CI run; `PYTHONPATH=tests python -m torture` is the long
form, which ends with a table of what was tried and what held.
"""
