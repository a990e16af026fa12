"""The phrases of the built-in world's tweets, read from ``phrases.yaml`` beside this file."""

from pathlib import Path

import yaml

_TABLES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))

PLAIN: dict[str, tuple[str, ...]] = {kind: tuple(rows) for kind, rows in _TABLES["plain"].items()}
"""About one name, by its parent type."""
PAIRED: dict[tuple[str, ...], tuple[str, ...]] = {
    tuple(kinds.split()): tuple(rows) for kinds, rows in _TABLES["paired"].items()
}
"""About two names, by their parent types."""
VAGUE: tuple[str, ...] = tuple(_TABLES["vague"])
EMPTY: tuple[str, ...] = tuple(_TABLES["empty"])
JOINERS: tuple[str, ...] = tuple(_TABLES["joiners"])
OPENERS: tuple[str, ...] = tuple(_TABLES["openers"])
CLOSERS: tuple[str, ...] = tuple(_TABLES["closers"])
HASHTAGS: tuple[str, ...] = tuple(_TABLES["hashtags"])
