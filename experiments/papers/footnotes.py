"""Footnotes of a table."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Footnotes:
    """Texts, each under one letter, in the order of their first use."""

    letters: dict[str, str] = field(default_factory=dict)

    def mark(self, text: str | None) -> str:
        """The letter of a text; empty without a text."""
        if not text:
            return ""
        place = len(self.letters)
        return self.letters.setdefault(text, chr(ord("a") + place % 26) * (1 + place // 26))
