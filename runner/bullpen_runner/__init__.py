"""The runner: one assignment, one finish."""
