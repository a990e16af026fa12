"""The comparison site: a leaderboard, a page a run, a page a pair, and a browser of examples.

Static files that a browser opens from the disk, without network. Text is escaped by jinja2 in pages
and set as text by the browser's script, so an example that holds markup stays text.
"""
