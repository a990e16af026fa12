"""Who is right, and how sure we are: plain Python and numpy; only metrics.py knows torch."""
