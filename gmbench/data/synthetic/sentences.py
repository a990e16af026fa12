"""Sentences with the habits of tweets, around the names of the subjects they mention."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from gmbench.data.synthetic import phrases
from gmbench.data.synthetic.cast import POOLS, Subject, Surface, Words, invent


@dataclass(frozen=True, slots=True)
class Mention:
    """Words ``start..end`` (inclusive) name ``subject``."""

    start: int
    end: int
    subject: Subject


@dataclass(frozen=True, slots=True)
class Sentence:
    """A tweet's words and its mentions, in order."""

    words: Words
    mentions: tuple[Mention, ...]


class _Writer:
    """Collects words and remembers where the names stand."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.mentions: list[Mention] = []

    def say(self, text: str) -> None:
        self.words.extend(text.split())

    def name(self, subject: Subject, surface: Surface) -> None:
        if surface.hashtag:
            self.words.append("#")
        start = len(self.words)
        self.words.extend(surface.words)
        self.mentions.append(Mention(start, len(self.words) - 1, subject))


def write_sentence(
    subjects: Sequence[Subject],
    *,
    pool: str,
    roots: Sequence[str],
    vague: float,
    cues: Sequence[bool],
    max_words: int,
    rng: Random,
) -> Sentence:
    """Name every subject once, in order.

    Args:
        subjects: who is mentioned; the two of a pair that share a name stand side by side.
        pool: where invented words come from.
        roots: invented words of names, which user names borrow.
        vague: share of the phrases that say nothing about the type.
        cues: for each subject, whether the words tell its look.
        max_words: upper bound; ornaments (RT, hashtags, URL) are left out to keep it.
        rng: the tweet's generator.

    Raises:
        ValueError: the names alone need more words.
    """
    surfaces = _pick_surfaces(subjects, rng)
    writer = _Writer()
    users = (invent(POOLS[pool], rng), rng.choice(roots))
    if rng.random() < 0.25:
        writer.say(f"RT @ {_user(users, rng)} :")
    elif rng.random() < 0.2:
        writer.say(rng.choice(phrases.OPENERS))
    if not subjects:
        writer.say(rng.choice(phrases.EMPTY).replace("{noise}", invent(POOLS[pool], rng)))
    index = 0
    while index < len(subjects):
        room = max_words - len(writer.words)
        rest = range(index, len(subjects))
        tight = room < sum(len(surfaces[i].words) + 9 for i in rest)
        if index:
            writer.say("," if tight else rng.choice(phrases.JOINERS))
        index += _write_clause(writer, subjects, surfaces, index, vague, cues, tight, rng)
    _decorate(writer, users, max_words, rng)
    if len(writer.words) > max_words:
        raise ValueError(f"{len(subjects)} names need {len(writer.words)} > {max_words} words")
    return Sentence(tuple(writer.words), tuple(writer.mentions))


def _write_clause(
    writer: _Writer,
    subjects: Sequence[Subject],
    surfaces: Sequence[Surface],
    index: int,
    vague: float,
    cues: Sequence[bool],
    tight: bool,
    rng: Random,
) -> int:
    """One clause from ``index`` on; how many subjects it named."""
    subject = subjects[index]
    if tight:
        writer.name(subject, surfaces[index])
        return 1
    if index + 1 < len(subjects):
        pairs = phrases.PAIRED.get((subject.parent, subjects[index + 1].parent))
        if pairs and rng.random() < 0.6:
            before, rest = rng.choice(pairs).split("{a}")
            between, after = rest.split("{b}")
            _name_between(writer, before, subject, surfaces[index], cues[index], between)
            follower = subjects[index + 1]
            _name_between(writer, "", follower, surfaces[index + 1], cues[index + 1], after)
            return 2
    choices = phrases.VAGUE if rng.random() < vague else phrases.PLAIN[subject.parent]
    before, after = rng.choice(choices).split("{a}")
    _name_between(writer, before, subject, surfaces[index], cues[index], after)
    return 1


def _name_between(
    writer: _Writer, before: str, subject: Subject, surface: Surface, cue: bool, after: str
) -> None:
    """``before NAME after``; a cue goes behind a person and in front of anything else."""
    writer.say(before)
    adjectives = subject.look.adjectives
    behind = subject.parent in ("person", "location", "organization")
    if cue and not behind:
        writer.say(" ".join(adjectives))
    writer.name(subject, surface)
    if cue and behind:
        verb = "in" if subject.parent == "person" else "with"
        noun = "" if subject.parent == "person" else "colours"
        writer.say(f"{verb} {' '.join(adjectives)} {noun}")
    writer.say(after)


def _pick_surfaces(subjects: Sequence[Subject], rng: Random) -> list[Surface]:
    """A surface for each subject; no two equal, since boxes are told apart by name only."""
    picked: dict[int, Surface] = {}
    used: set[Words] = set()
    for index in sorted(range(len(subjects)), key=lambda i: len(subjects[i].surfaces)):
        free = [surface for surface in subjects[index].surfaces if surface.words not in used]
        picked[index] = rng.choices(free, weights=[surface.weight for surface in free])[0]
        used.add(picked[index].words)
    return [picked[index] for index in range(len(subjects))]


def _decorate(writer: _Writer, users: Sequence[str], max_words: int, rng: Random) -> None:
    """Hashtags, closing words and a cut URL at the end, as far as there is room."""
    if rng.random() < 0.3 and len(writer.words) + 5 <= max_words:
        writer.say(rng.choice(phrases.CLOSERS))
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        if len(writer.words) + 2 <= max_words:
            writer.say(f"# {rng.choice(phrases.HASHTAGS)}")
    if rng.random() < 0.1 and len(writer.words) + 2 <= max_words:
        writer.say(f"@ {_user(users, rng)}")
    if rng.random() < 0.3 and len(writer.words) + 2 <= max_words:
        code = "".join(rng.choices("abcdefghjkmnpqrstuvwxyzABCDEFGHJKLM0123456789", k=10))
        writer.say(f"http://t. co/{code}")


def _user(users: Sequence[str], rng: Random) -> str:
    """A user name: it may be somebody's name, and still it is no mention."""
    word = rng.choice(users)
    return rng.choice((word, word.lower(), f"{word}{rng.randint(1, 99)}", f"The{word}"))
