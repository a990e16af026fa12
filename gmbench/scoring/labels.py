"""Gold labels that are probably wrong: those that several systems agree against.

Every system has one vote on each gold entity, on three questions apart:

==========  ======================================================================
``span``    does it name these very words, others that overlap them, or nothing?
``type``    if it names these words: which type?
``region``  if it names these words: is it where gold says, elsewhere, or nowhere?
==========  ======================================================================

The votes for one and the same other answer (boxes are the same from IoU 0.5) are *against* the
label, those for gold's *for* it. A system without a single box has no vote on regions. Agreement is
no proof: systems share blind spots, and those that learned from a label repeat it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gmbench.core.entities import Entity, Example, Prediction
from gmbench.core.iou import iou
from gmbench.scoring.counting import Task, region_right, score_corpus

KINDS = ("span", "type", "region")
FIRST = (10, 30, 100)
"""Numbers of suspects of each kind for which the ranking of systems is looked at again."""

Answers = Mapping[str, Sequence[Prediction]]
Vote = tuple[Entity | None, float]
"""The entity as a system has it (None: there is none), and how sure it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A gold entity against which some systems agree, on one question.

    Attributes:
        id: of the example.
        place: of the entity in it.
        kind: one of ``KINDS``.
        rank: among those of its kind, from 1.
        gold: the entity as labelled.
        instead: as most of the others have it; None: they name nothing there.
        against: systems that agree on that.
        support: systems that say what the label says.
        systems: all of them.
        confidence: mean of those against, 0..1.
    """

    id: str
    place: int
    kind: str
    rank: int
    gold: Entity
    instead: Entity | None
    against: int
    support: int
    systems: int
    confidence: float


def suspects(gold: Sequence[Example], systems: Sequence[Answers]) -> tuple[Suspect, ...]:
    """Every label that a system is against, by kind; first those with most votes against them.

    Among equals those with fewer votes for them come first, then the more confident votes.

    Args:
        gold: the examples.
        systems: predictions of every example, one vote each: models and seeds.
    """
    seeing = [any(p.box is not None for ps in one.values() for p in ps) for one in systems]
    found: dict[str, list[Suspect]] = {kind: [] for kind in KINDS}
    for example in gold:
        others = {(e.start, e.end) for e in example.entities}
        answers = [one[example.id] for one in systems]
        for place, entity in enumerate(example.entities):
            same = [[p for p in ps if _span(p) == _span(entity)] for ps in answers]
            votes = {
                "span": [_span_vote(entity, ps, others) for ps in answers],
                "type": [_type_vote(entity, ps) for ps in same if ps],
                "region": [
                    _region_vote(entity, ps)
                    for ps, sees in zip(same, seeing, strict=True)
                    if ps and sees
                ],
            }
            for kind, cast in votes.items():
                against = [vote for vote in cast if vote[0] != entity]
                if not against:
                    continue
                instead, agreeing = _most(against)
                found[kind].append(
                    Suspect(
                        id=example.id,
                        place=place,
                        kind=kind,
                        rank=0,
                        gold=entity,
                        instead=instead,
                        against=len(agreeing),
                        support=len(cast) - len(against),
                        systems=len(systems),
                        confidence=sum(sorted(agreeing)) / len(agreeing),
                    )
                )
    for ranked in found.values():
        ranked.sort(key=lambda s: (-s.against, s.support, -s.confidence, s.id, s.place))
    return tuple(
        replace(one, rank=rank)
        for ranked in found.values()
        for rank, one in enumerate(ranked, start=1)
    )


def _span(row: Entity | Prediction) -> tuple[int, int]:
    return row.start, row.end


def _span_vote(entity: Entity, guesses: Sequence[Prediction], gold: set[tuple[int, int]]) -> Vote:
    """The words named instead: those that share most; a name of another entity is none of this."""
    if any(_span(p) == _span(entity) for p in guesses):
        return entity, 1.0

    def shared(p: Prediction) -> float:
        common = min(p.end, entity.end) - max(p.start, entity.start) + 1
        return common / (max(p.end, entity.end) - min(p.start, entity.start) + 1)

    near = [p for p in guesses if shared(p) > 0 and _span(p) not in gold]
    if not near:
        return None, 0.0
    best = min(near, key=lambda p: (-shared(p), -p.score, _span(p)))
    return replace(entity, start=best.start, end=best.end), best.score


def _type_vote(entity: Entity, guesses: Sequence[Prediction]) -> Vote:
    best = min(guesses, key=lambda p: (p.type != entity.type, -p.score, p.type))
    return replace(entity, type=best.type), best.score


def _region_vote(entity: Entity, guesses: Sequence[Prediction]) -> Vote:
    """The region of the answer that is nearest to gold."""

    def order(p: Prediction) -> tuple[object, ...]:
        right = region_right(p.box, entity.boxes)
        return not right, p.type != entity.type, -p.score, p.box or ()

    best = min(guesses, key=order)
    if region_right(best.box, entity.boxes):
        return entity, best.score
    return replace(entity, boxes=() if best.box is None else (best.box,)), best.score


def _most(votes: Sequence[Vote]) -> tuple[Entity | None, list[float]]:
    """What most votes agree on, and the confidence of each of them."""

    def alike(one: Entity | None, other: Entity | None) -> bool:
        if one is None or other is None or one == other:
            return one == other
        if (*_span(one), one.type) != (*_span(other), other.type):
            return False
        return any(iou(a, b) >= 0.5 for a in one.boxes for b in other.boxes)

    def order(vote: Vote) -> tuple[object, ...]:
        camp = agreeing(vote)
        return -len(camp), -sum(sorted(camp)), repr(vote[0])

    def agreeing(vote: Vote) -> list[float]:
        return [score for other, score in votes if alike(vote[0], other)]

    best = min(votes, key=order)
    return best[0], agreeing(best)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How systems rank once the first suspects of each kind are dealt with.

    Attributes:
        first: so many of each kind; 0 = gold as it is.
        how: ``dropped``: their examples are left out; ``mended``: the label is what most systems
            say, which favours these.
        labels: number of labels that this concerns.
        f1: of each system, in their order.
        tau: Kendall's tau-b of these with those on gold as it is; None where all are equal.
    """

    first: int
    how: str
    labels: int
    f1: tuple[float, ...]
    tau: float | None


def shifts(
    gold: Sequence[Example],
    systems: Sequence[Answers],
    ranked: Sequence[Suspect],
    task: Task = "gmner",
    first: Sequence[int] = FIRST,
) -> tuple[Shift, ...]:
    """F1 and order of the systems on gold as it is, then without and with mended suspects."""

    def at(examples: Sequence[Example]) -> tuple[float, ...]:
        return tuple(
            getattr(score_corpus((e.entities, one[e.id]) for e in examples).micro, task).f1
            for one in systems
        )

    before = at(gold)
    found = [Shift(first=0, how="as it is", labels=0, f1=before, tau=1.0)]
    for k in first:
        chosen = [suspect for suspect in ranked if suspect.rank <= k]
        ids = {suspect.id for suspect in chosen}
        ways = {"dropped": [e for e in gold if e.id not in ids], "mended": mended(gold, chosen)}
        for how, examples in ways.items():
            now = at(examples)
            tau = kendall(before, now)
            labels = len({(s.id, s.place) for s in chosen})
            found.append(Shift(first=k, how=how, labels=labels, f1=now, tau=tau))
    return tuple(found)


def mended(gold: Sequence[Example], chosen: Iterable[Suspect]) -> list[Example]:
    """The examples with each of these labels as most systems have it, question by question."""
    changes: dict[tuple[str, int], list[Suspect]] = {}
    for suspect in chosen:
        changes.setdefault((suspect.id, suspect.place), []).append(suspect)

    def now(id_: str, place: int, entity: Entity) -> Entity | None:
        for change in changes.get((id_, place), ()):
            if change.instead is None:
                return None
            fields = {"span": ("start", "end"), "type": ("type",), "region": ("boxes",)}
            other = {name: getattr(change.instead, name) for name in fields[change.kind]}
            entity = replace(entity, **other)
        return entity

    return [
        replace(example, entities=tuple(filter(None, kept)))
        for example in gold
        for kept in [[now(example.id, n, e) for n, e in enumerate(example.entities)]]
    ]


def kendall(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Kendall's tau-b; None where one side is all ties."""
    from scipy.stats import kendalltau  # deferred: most of a fast verb's start

    if min(len(set(one)), len(set(other))) < 2:
        return None
    return float(kendalltau(one, other).statistic)


def task_of(systems: Sequence[Answers]) -> Task:
    """What the systems are ranked by: names alone where no system has a box."""
    boxed = any(p.box is not None for one in systems for ps in one.values() for p in ps)
    return "gmner" if boxed else "mner"
