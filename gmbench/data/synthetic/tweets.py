"""The plan of one tweet: who is named, who of them is shown, what else is in the picture."""

from dataclasses import dataclass
from random import Random

from gmbench.data.layout import Annotated
from gmbench.data.synthetic.cast import PARENTS, Lottery, Subject
from gmbench.data.synthetic.dials import Dials, PostDials
from gmbench.data.synthetic.scenes import Order, Scene, Thing, arrange, draw_size
from gmbench.data.synthetic.sentences import Cue, Sentence, write_sentence

BEHIND = {"person": "in {}", "location": "with {} colours", "organization": "with {} colours"}
"""Words for a look that follow the name; for other parent types they precede it."""


@dataclass(frozen=True, slots=True, eq=False)
class Tweet:
    """A sentence and its scene.

    Attributes:
        shown: for each mention, the things of the scene that show it; empty = not groundable.
    """

    id: str
    sentence: Sentence
    scene: Scene
    shown: tuple[tuple[Thing, ...], ...]

    @property
    def gold(self) -> tuple[Thing, ...]:
        """Every thing that some mention names."""
        return tuple(thing for things in self.shown for thing in things)

    @property
    def annotated(self) -> tuple[Annotated, ...]:
        """The mentions as they are written to disk."""
        return tuple(
            Annotated(m.start, m.end, m.subject, tuple(thing.box for thing in things))
            for m, things in zip(self.sentence.mentions, self.shown, strict=True)
        )

    @property
    def others(self) -> tuple[Thing, ...]:
        """Every thing that no word names."""
        gold = set(map(id, self.gold))
        return tuple(thing for thing in self.scene.things if id(thing) not in gold)


@dataclass(frozen=True, slots=True, eq=False)
class Lotteries:
    """Who can be named in a split, and who can stand around."""

    seen: Lottery[Subject]
    held_out: Lottery[Subject]
    everyone: Lottery[Subject]
    namesakes: tuple[tuple[Subject, Subject], ...]
    unseen_namesakes: tuple[tuple[Subject, Subject], ...]
    roots: tuple[str, ...]


def make_lotteries(cast: tuple[Subject, ...]) -> Lotteries:
    """Divide the cast."""
    pairs = [(cast[s.namesake], s) for s in cast if s.namesake is not None]
    return Lotteries(
        seen=Lottery([subject for subject in cast if not subject.held_out]),
        held_out=Lottery([subject for subject in cast if subject.held_out]),
        everyone=Lottery(cast),
        namesakes=tuple(pair for pair in pairs if not pair[0].held_out),
        unseen_namesakes=tuple(pair for pair in pairs if pair[0].held_out),
        roots=tuple(subject.root for subject in cast if not subject.held_out),
    )


def shown_shares(groundable: float) -> dict[str, float]:
    """Chance that a mention of each parent type is shown, so that the mean is ``groundable``."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = sum(kind.share * min(1.0, middle * kind.shown) for kind in PARENTS.values())
        low, high = (middle, high) if mean < groundable else (low, middle)
    return {parent: min(1.0, high * kind.shown) for parent, kind in PARENTS.items()}


def plan_tweet(
    name: str, *, dials: Dials, lotteries: Lotteries, unseen: float, rng: Random
) -> Tweet:
    """Plan one tweet.

    Args:
        name: its id.
        dials: the world's settings.
        lotteries: the cast.
        unseen: share of the mentions whose subject training never names.
        rng: this tweet's own generator.
    """
    subjects = _draw_subjects(dials, lotteries, unseen, rng)
    shares = shown_shares(dials.groundable)
    size = draw_size((dials.image_min, dials.image_max), rng)
    orders = [
        Order(subject, rng.choice((2, 2, 3, 4)) if rng.random() < dials.multi_box else 1)
        for subject in subjects
        if rng.random() < shares[subject.parent]
    ]
    while sum(order.copies for order in orders) > dials.candidates:
        orders.pop()
    rivals = _draw_distractors(dials, lotteries.everyone, subjects, rng)
    placed = arrange([*orders, *rivals], size=size, overlap=dials.overlap, rng=rng)
    scene = Scene(size, placed, rng.getrandbits(48))
    sentence = _speak(subjects, dials, lotteries, rng)
    shown = tuple(
        tuple(thing for thing in placed if thing.subject is mention.subject)
        for mention in sentence.mentions
    )
    return Tweet(name, sentence, scene, shown)


def plan_sentence(*, dials: Dials, lotteries: Lotteries, unseen: float, rng: Random) -> Sentence:
    """A tweet's words without a picture, for what learns from text alone."""
    return _speak(_draw_subjects(dials, lotteries, unseen, rng), dials, lotteries, rng)


def _speak(subjects: list[Subject], dials: Dials, lotteries: Lotteries, rng: Random) -> Sentence:
    return write_sentence(
        subjects,
        pool=dials.pool,
        roots=lotteries.roots,
        vague=dials.vague,
        cues=[_look_cue(subject) if rng.random() < dials.cues else Cue() for subject in subjects],
        max_words=dials.words_max,
        rng=rng,
    )


def _look_cue(subject: Subject) -> Cue:
    """Words for a look: behind the name of a person, place or organisation, else before it."""
    adjectives = " ".join(subject.look.adjectives)
    behind = BEHIND.get(subject.parent)
    return Cue(before=adjectives) if behind is None else Cue(behind=behind.format(adjectives))


def count_mentions(dials: PostDials, rng: Random) -> int:
    """How many entities a post names."""
    wanted = 0
    if rng.random() >= dials.empty or dials.entities_min:
        wanted = 1 + _poisson(max(0.0, dials.entities / (1 - dials.empty) - 1), rng)
    return min(max(wanted, dials.entities_min), dials.entities_max)


def _draw_subjects(dials: Dials, lotteries: Lotteries, unseen: float, rng: Random) -> list[Subject]:
    """Distinct subjects; a pair that shares a name stands side by side."""
    wanted = count_mentions(dials, rng)
    weights = [kind.share for kind in PARENTS.values()]
    subjects: list[Subject] = []
    if wanted >= 2 and rng.random() < dials.pairs:
        pairs = lotteries.unseen_namesakes if rng.random() < unseen else lotteries.namesakes
        if pairs:
            first, second = rng.choice(pairs)
            subjects += [first, second] if rng.random() < 0.5 else [second, first]
    tries = 0
    while len(subjects) < wanted and tries < 100 * wanted:
        tries += 1
        lottery = lotteries.held_out if rng.random() < unseen else lotteries.seen
        parent = rng.choices(tuple(PARENTS), weights=weights)[0]
        if lottery.has(parent):
            subject = lottery.draw(parent, rng)
            if all(subject.root != other.root for other in subjects):
                subjects.append(subject)
    return subjects


def _draw_distractors(
    dials: Dials, lottery: Lottery[Subject], subjects: list[Subject], rng: Random
) -> list[Order]:
    """Things that no word names: mostly of other kinds, never in a mentioned one's colour."""
    named = {subject.parent for subject in subjects}
    foreign = [parent for parent in PARENTS if parent not in named]
    orders: list[Order] = []
    for _ in range(min(_poisson(dials.distractors, rng), 12)):
        confusing = bool(named) and (not foreign or rng.random() < dials.confusers)
        parent = rng.choice(sorted(named) if confusing else foreign)
        for _ in range(20):
            rival = lottery.draw(parent, rng)
            alike = (rival.parent, rival.look.primary)
            if all((s.parent, s.look.primary) != alike for s in subjects):
                orders.append(Order(rival, 1))
                break
    return orders


def _poisson(mean: float, rng: Random) -> int:
    """A Poisson number by counting exponential waits."""
    count, wait = 0, rng.expovariate(1.0)
    while wait < mean:
        count += 1
        wait += rng.expovariate(1.0)
    return count
