"""What ``python -m tests.speed`` measures: one file a suite."""
