"""Surface strings -> word positions: where a generated name stands in its sentence."""

from collections.abc import Sequence

Span = tuple[int, int]


class Places:
    """The positions of names in one sentence, given out from left to right.

    Args:
        words: of the sentence.
        where: the place named in notes, say file, line and id.

    A name that occurs several times is ambiguous: it gets the first occurrence that no earlier
    prediction took, and a note. A name that does not occur cannot be right: it is put behind the
    last word, where it counts as a prediction and matches nothing, with a note.
    """

    def __init__(self, words: Sequence[str], where: str) -> None:
        self._words = words
        self._where = where
        self._taken: set[Span] = set()
        self.notes: list[str] = []

    def place(self, surface: str) -> Span:
        """Start and end (inclusive) of a name."""
        found = occurrences(surface, self._words)
        if not found:
            self.notes.append(
                f"{self._where}: {surface!r} is not in the sentence; it counts as a wrong answer"
            )
            return len(self._words), len(self._words)
        span = next((span for span in found if span not in self._taken), found[0])
        if len(found) > 1:
            self.notes.append(
                f"{self._where}: {surface!r} is ambiguous, it occurs {len(found)} times; read as "
                f"words {span[0]}..{span[1]}"
            )
        self._taken.add(span)
        return span


def occurrences(surface: str, words: Sequence[str]) -> list[Span]:
    """Every span whose words, joined by one space, are ``surface``; case matters.

    If there is none: every span whose letters are those of ``surface`` with all spaces left out.
    """
    wanted = " ".join(surface.split())
    return _spans(wanted, words, " ") or _spans(wanted.replace(" ", ""), words, "")


def _spans(wanted: str, words: Sequence[str], joint: str) -> list[Span]:
    found = []
    for start in range(len(words)):
        text = ""
        for end in range(start, len(words)):
            text = words[end] if end == start else text + joint + words[end]
            if text == wanted:
                found.append((start, end))
            if len(text) >= len(wanted):
                break
    return found if wanted else []
