"""What ``python -m gmbench.bench`` measures: one file a suite."""
