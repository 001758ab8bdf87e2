"""The room that decides: budgets, verdict, assertions and their messages."""
