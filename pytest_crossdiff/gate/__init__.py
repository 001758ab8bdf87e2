"""Decides: budgets, the verdict on a result, and accepted differences.

In: a `Result`, budgets, and what was accepted before.
Out: `check.Check`, the verdict as plain data; a pure function, so a repeated run cannot change it.
"""
