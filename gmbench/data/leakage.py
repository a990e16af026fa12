"""Texts of dev and test that training has seen: exactly, or up to what a retweet changes."""

import re
from collections.abc import Iterable, Sequence

RETWEET = re.compile(r"^rt @ \S+( _)?( :)?")
NOT_WORD = re.compile(r"[\W_]+")


def normalised(words: Iterable[str]) -> str:
    """Lower case, without a leading ``RT @ name :``, punctuation or spacing.

    On Twitter-GMNER v2.0 this finds 4 dev and 7 test tweets in train, where equality finds 2 and 3.
    """
    return NOT_WORD.sub(" ", RETWEET.sub("", " ".join(words).lower())).strip()


def exact(words: Iterable[str]) -> str:
    """The words as they stand, joined so that no two sentences become one."""
    return "\t".join(words)


def leaked(
    train: Iterable[Sequence[str]], other: Sequence[Sequence[str]], *, exactly: bool = False
) -> tuple[int, ...]:
    """Positions in ``other`` of the sentences that ``train`` has too; a text of no word never."""
    form = exact if exactly else normalised
    seen = {form(words) for words in train} - {""}
    return tuple(index for index, words in enumerate(other) if form(words) in seen)
