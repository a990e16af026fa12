"""Sentences with the habits of tweets, around the names of the subjects they mention."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from gmbench.data.synthetic import phrases
from gmbench.data.synthetic.cast import POOLS, Subject, Surface, Words, invent

BEHIND = {"person": "in {}", "location": "with {} colours", "organization": "with {} colours"}
"""Words for a look that follow the name; for other parent types they precede it."""


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
        vague: share of the phrases that do not reveal the type.
        cues: for each subject, whether the words describe its look.
        max_words: upper bound; ornaments (RT, hashtags, URL) are left out to keep it.
        rng: the tweet's generator.

    Raises:
        ValueError: the names alone need more words.
    """
    named = [
        _Named(subject, surface, cue)
        for subject, surface, cue in zip(subjects, _pick_surfaces(subjects, rng), cues, strict=True)
    ]
    users = (invent(POOLS[pool], rng), rng.choice(roots))
    writer = _Writer(users, max_words, rng)
    if rng.random() < 0.25:
        writer.say(f"RT @ {writer.user()} :")
    elif rng.random() < 0.2:
        writer.say(rng.choice(phrases.OPENERS))
    if not subjects:
        writer.say(rng.choice(phrases.EMPTY).replace("{noise}", invent(POOLS[pool], rng)))
    index = 0
    while index < len(named):
        room = max_words - len(writer.words)
        is_tight = room < sum(len(one.surface.words) + 9 for one in named[index:])
        if index:
            writer.say("," if is_tight else rng.choice(phrases.JOINERS))
        if is_tight:
            writer.name(named[index])
            index += 1
        else:
            index += writer.clause(named[index : index + 2], vague)
    writer.decorate()
    if len(writer.words) > max_words:
        raise ValueError(f"{len(subjects)} names need {len(writer.words)} > {max_words} words")
    return Sentence(tuple(writer.words), tuple(writer.mentions))


@dataclass(frozen=True, slots=True)
class _Named:
    """A subject, how the sentence names it, and whether it describes its look."""

    subject: Subject
    surface: Surface
    cue: bool


class _Writer:
    """Collects the words of a sentence and remembers where the names stand."""

    def __init__(self, users: Sequence[str], max_words: int, rng: Random) -> None:
        self.users, self.max_words, self.rng = users, max_words, rng
        self.words: list[str] = []
        self.mentions: list[Mention] = []

    def say(self, text: str) -> None:
        self.words.extend(text.split())

    def name(self, one: _Named) -> None:
        if one.surface.hashtag:
            self.words.append("#")
        start = len(self.words)
        self.words.extend(one.surface.words)
        self.mentions.append(Mention(start, len(self.words) - 1, one.subject))

    def clause(self, named: Sequence[_Named], vague: float) -> int:
        """Write a clause about the first or both; return how many it named."""
        parents = tuple(one.subject.parent for one in named)
        if len(named) == 2:
            pairs = phrases.PAIRED.get((parents[0], parents[1]))
            if pairs and self.rng.random() < 0.6:
                before, rest = self.rng.choice(pairs).split("{a}")
                between, after = rest.split("{b}")
                self.name_between(before, named[0], between)
                self.name_between("", named[1], after)
                return 2
        choices = phrases.VAGUE if self.rng.random() < vague else phrases.PLAIN[parents[0]]
        before, after = self.rng.choice(choices).split("{a}")
        self.name_between(before, named[0], after)
        return 1

    def name_between(self, before: str, one: _Named, after: str) -> None:
        """``before NAME after``, with the words for its look where there is a cue."""
        self.say(before)
        adjectives = " ".join(one.subject.look.adjectives)
        behind = BEHIND.get(one.subject.parent)
        if one.cue and behind is None:
            self.say(adjectives)
        self.name(one)
        if one.cue and behind is not None:
            self.say(behind.format(adjectives))
        self.say(after)

    def decorate(self) -> None:
        """Hashtags, closing words and a cut URL at the end, as far as there is room."""
        rng = self.rng
        if rng.random() < 0.3 and self.has_room(5):
            self.say(rng.choice(phrases.CLOSERS))
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
            if self.has_room(2):
                self.say(f"# {rng.choice(phrases.HASHTAGS)}")
        if rng.random() < 0.1 and self.has_room(2):
            self.say(f"@ {self.user()}")
        if rng.random() < 0.3 and self.has_room(2):
            code = "".join(rng.choices("abcdefghjkmnpqrstuvwxyzABCDEFGHJKLM0123456789", k=10))
            self.say(f"http://t. co/{code}")

    def has_room(self, count: int) -> bool:
        return len(self.words) + count <= self.max_words

    def user(self) -> str:
        """A user name: it may be somebody's name, and still it is no mention."""
        word = self.rng.choice(self.users)
        forms = (word, word.lower(), f"{word}{self.rng.randint(1, 99)}", f"The{word}")
        return self.rng.choice(forms)


def _pick_surfaces(subjects: Sequence[Subject], rng: Random) -> list[Surface]:
    """A surface for each subject; no two equal, since boxes are told apart by name only."""
    picked: dict[int, Surface] = {}
    used: set[Words] = set()
    for index in sorted(range(len(subjects)), key=lambda i: len(subjects[i].surfaces)):
        free = [surface for surface in subjects[index].surfaces if surface.words not in used]
        picked[index] = rng.choices(free, weights=[surface.weight for surface in free])[0]
        used.add(picked[index].words)
    return [picked[index] for index in range(len(subjects))]
