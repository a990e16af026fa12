"""The phrases of generated posts; the built-in world's are in ``phrases.yaml`` beside this file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Lines = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Phrases:
    """Phrases with ``{a}`` and ``{b}`` for names, ``{noise}`` for a random word.

    Attributes:
        plain: about one name, by its topic.
        paired: about two names, by their topics.
        vague: about a name of any topic, except those of ``certain``.
        certain: topics that are never left vague.
    """

    plain: Mapping[str, Lines]
    paired: Mapping[Lines, Lines]
    vague: Lines
    empty: Lines
    joiners: Lines
    openers: Lines
    closers: Lines
    hashtags: Lines
    certain: Lines = ()

    def about(self, topic: str, is_vague: bool) -> Lines:
        """The phrases that a name of ``topic`` may stand in."""
        return self.vague if is_vague and topic not in self.certain else self.plain[topic]


def by_topic(table: Mapping[str, Sequence[str]]) -> dict[str, Lines]:
    """Phrases about one name."""
    return {topic: tuple(rows) for topic, rows in table.items()}


def by_topics(table: Mapping[str, Sequence[str]]) -> dict[Lines, Lines]:
    """Phrases about two names, whose topics are separated by a space."""
    return {tuple(topics.split()): tuple(rows) for topics, rows in table.items()}


def _read(path: Path) -> Phrases:
    tables: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    plain, paired = by_topic(tables.pop("plain")), by_topics(tables.pop("paired"))
    return Phrases(plain=plain, paired=paired, **{key: tuple(v) for key, v in tables.items()})


WORLD = _read(Path(__file__).with_suffix(".yaml"))
