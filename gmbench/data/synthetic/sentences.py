"""Sentences with the habits of tweets, around the names of the subjects they mention."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from gmbench.data.synthetic.cast import POOLS, Named, Surface, Words, invent
from gmbench.data.synthetic.phrases import WORLD, Phrases


@dataclass(frozen=True, slots=True)
class Cue:
    """Words before and behind a name that tell what or where in the picture it is."""

    before: str = ""
    behind: str = ""


@dataclass(frozen=True, slots=True)
class Mention:
    """Words ``start..end`` (inclusive) name ``subject``."""

    start: int
    end: int
    subject: Named


@dataclass(frozen=True, slots=True)
class Sentence:
    """A tweet's words and its mentions, in order."""

    words: Words
    mentions: tuple[Mention, ...]


def write_sentence(
    subjects: Sequence[Named],
    *,
    pool: str,
    roots: Sequence[str],
    vague: float,
    cues: Sequence[Cue],
    max_words: int,
    rng: Random,
    tables: Phrases = WORLD,
) -> Sentence:
    """Name every subject once, in order.

    Args:
        subjects: who is mentioned; the two of a pair that share a name stand side by side.
        pool: where invented words come from.
        roots: invented words of names, which user names borrow.
        vague: share of the phrases that do not reveal the type.
        cues: for each subject, the words that tell what it shows.
        max_words: upper bound; ornaments (RT, hashtags, URL) are left out to keep it.
        rng: the tweet's generator.
        tables: phrases by topic.

    Raises:
        ValueError: the names alone need more words.
    """
    named = [
        _Spoken(subject, surface, cue)
        for subject, surface, cue in zip(subjects, _pick_surfaces(subjects, rng), cues, strict=True)
    ]
    users = (invent(POOLS[pool], rng), rng.choice(roots))
    writer = _Writer(users, max_words, rng, tables)
    if rng.random() < 0.25:
        writer.say(f"RT @ {writer.user()} :")
    elif rng.random() < 0.2:
        writer.say(rng.choice(tables.openers))
    if not subjects:
        writer.say(rng.choice(tables.empty).replace("{noise}", invent(POOLS[pool], rng)))
    index = 0
    while index < len(named):
        room = max_words - len(writer.words)
        is_tight = room < sum(len(one.surface.words) + 9 for one in named[index:])
        if index:
            writer.say("," if is_tight else rng.choice(tables.joiners))
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
class _Spoken:
    """A subject, how the sentence names it, and what else it says of it."""

    subject: Named
    surface: Surface
    cue: Cue


class _Writer:
    """Collects the words of a sentence and remembers where the names stand."""

    def __init__(self, users: Sequence[str], max_words: int, rng: Random, tables: Phrases) -> None:
        self.users, self.max_words, self.rng, self.tables = users, max_words, rng, tables
        self.words: list[str] = []
        self.mentions: list[Mention] = []

    def say(self, text: str) -> None:
        self.words.extend(text.split())

    def name(self, one: _Spoken) -> None:
        if one.surface.hashtag:
            self.words.append("#")
        start = len(self.words)
        self.words.extend(one.surface.words)
        self.mentions.append(Mention(start, len(self.words) - 1, one.subject))

    def clause(self, named: Sequence[_Spoken], vague: float) -> int:
        """Write a clause about the first or both; return how many it named."""
        topics = tuple(one.subject.topic for one in named)
        if len(named) == 2:
            pairs = self.tables.paired.get(topics)
            if pairs and self.rng.random() < 0.6:
                before, rest = self.rng.choice(pairs).split("{a}")
                between, after = rest.split("{b}")
                self.name_between(before, named[0], between)
                self.name_between("", named[1], after)
                return 2
        phrase = self.rng.choice(self.tables.about(topics[0], self.rng.random() < vague))
        before, after = phrase.split("{a}")
        self.name_between(before, named[0], after)
        return 1

    def name_between(self, before: str, one: _Spoken, after: str) -> None:
        """``before NAME after``, with the words of its cue."""
        self.say(before)
        self.say(one.cue.before)
        self.name(one)
        self.say(one.cue.behind)
        self.say(after)

    def decorate(self) -> None:
        """Hashtags, closing words and a cut URL at the end, as far as there is room."""
        rng = self.rng
        if rng.random() < 0.3 and self.has_room(5):
            self.say(rng.choice(self.tables.closers))
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
            if self.has_room(2):
                self.say(f"# {rng.choice(self.tables.hashtags)}")
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


def _pick_surfaces(subjects: Sequence[Named], rng: Random) -> list[Surface]:
    """A surface for each subject; no two equal, since boxes are told apart by name only."""
    picked: dict[int, Surface] = {}
    used: set[Words] = set()
    for index in sorted(range(len(subjects)), key=lambda i: len(subjects[i].surfaces)):
        free = [surface for surface in subjects[index].surfaces if surface.words not in used]
        picked[index] = rng.choices(free, weights=[surface.weight for surface in free])[0]
        used.add(picked[index].words)
    return [picked[index] for index in range(len(subjects))]
