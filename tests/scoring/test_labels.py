"""Labels that systems agree against: by hand, against the definition, on planted errors."""

import random
from collections import Counter
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest

from experiments.studies.label_audit import find, plant
from gmbench.core.entities import Entity, Example, Prediction
from gmbench.core.iou import iou
from gmbench.scoring.labels import KINDS, kendall, mended, shifts, suspects, task_of
from tests.scoring.documents import random_document

HERE, NEAR, FAR = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 12.0), (50.0, 50.0, 60.0, 60.0)
WORDS = tuple(f"w{n}" for n in range(9))


def example(*entities, id_="a"):
    return Example(id_, WORDS, entities, size=(100, 100))


def systems_of(*answers):
    return [{"a": tuple(one)} for one in answers]


def test_votes_on_each_question_by_hand():
    gold = [example(Entity(1, 2, "PER", (HERE,)))]
    found = suspects(
        gold,
        systems_of(
            [Prediction(1, 2, "LOC", FAR)],
            [Prediction(1, 2, "LOC", HERE)],
            [Prediction(1, 2, "ORG"), Prediction(1, 2, "LOC", NEAR, 0.5)],
            [Prediction(1, 3, "PER", FAR, 0.8)],
            [Prediction(7, 7, "PER", FAR)],
        ),
    )
    told = {one.kind: (one.against, one.support, one.systems, one.instead) for one in found}
    assert told["type"] == (2, 0, 5, Entity(1, 2, "LOC", (HERE,)))  # one says ORG
    assert told["region"] == (1, 2, 5, Entity(1, 2, "PER", (FAR,)))
    assert told["span"][:2] == (1, 3)
    assert told["span"][3] == Entity(1, 3, "PER", (HERE,))  # the surer of two
    assert mended(gold, [one for one in found if one.kind == "type"])[0].entities == (
        Entity(1, 2, "LOC", (HERE,)),
    )


def test_boxes_that_overlap_are_one_answer_and_systems_without_boxes_have_no_say():
    gold = [example(Entity(0, 0, "PER"))]
    (one,) = suspects(gold, systems_of(*([Prediction(0, 0, "PER", b)] for b in (HERE, NEAR, FAR))))
    assert (one.kind, one.against, one.instead.boxes) == ("region", 2, (HERE,))
    groundable = [example(Entity(0, 0, "PER", (HERE,)))]
    answers = systems_of([Prediction(0, 0, "PER")], [Prediction(0, 0, "PER")])
    assert suspects(groundable, answers) == ()
    assert task_of(answers) == "mner"


def by_definition(gold, systems, kind):
    """Votes against each label: the greatest number of systems with one other answer."""
    seeing = [any(p.box for ps in one.values() for p in ps) for one in systems]
    votes = {}
    for one in gold:
        spans = {(e.start, e.end) for e in one.entities}
        for place, entity in enumerate(one.entities):
            words, cast = set(range(entity.start, entity.end + 1)), []
            for system, sees in zip(systems, seeing, strict=True):
                same = [p for p in system[one.id] if (p.start, p.end) == (entity.start, entity.end)]
                if kind == "span":
                    near = {
                        (p.start, p.end): len(words & own) / len(words | own)
                        for p in system[one.id]
                        for own in [set(range(p.start, p.end + 1))]
                        if words & own and (p.start, p.end) not in spans
                    }
                    # All scores are equal here: the first of those that share most.
                    best = min(near, key=lambda span: (-near[span], span)) if near else None
                    cast.append("gold" if same else best)
                elif same and kind == "type":
                    names = sorted(p.type for p in same)
                    cast.append("gold" if entity.type in names else names[0])
                elif same and sees:
                    right = [
                        p
                        for p in same
                        if (p.box is None and not entity.boxes)
                        or (p.box and any(iou(p.box, box) >= 0.5 for box in entity.boxes))
                    ]
                    own = sorted(same, key=lambda p: (p.type != entity.type, p.box or ()))
                    cast.append("gold" if right else own[0].box)
            others = [vote for vote in cast if vote != "gold"]
            if kind == "region":
                counts = [
                    sum(a == b or bool(a and b and iou(a, b) >= 0.5) for b in others)
                    for a in others
                ]
            else:
                counts = Counter(others).values()
            if others:
                votes[one.id, place] = (max(counts), len(cast) - len(others))
    return votes


def entities(rng):
    """Gold of a random document, without boxes that no reader would let pass."""
    return tuple(
        replace(e, boxes=tuple(b for b in e.boxes if b[0] < b[2] and b[1] < b[3]))
        for e in random_document(rng)[0]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_votes_follow_the_definition_and_the_order_follows_the_votes(kind):
    rng = random.Random(3)
    for _ in range(40):
        gold = [Example(str(n), WORDS, entities(rng), size=(50, 50)) for n in range(3)]
        systems = [
            {one.id: tuple(random_document(rng)[1]) for one in gold}
            for _ in range(rng.randrange(2, 6))
        ]
        found = [one for one in suspects(gold, systems) if one.kind == kind]
        assert {(s.id, s.place): (s.against, s.support) for s in found} == by_definition(
            gold, systems, kind
        )
        keys = [(-s.against, s.support, -s.confidence) for s in found]
        assert keys == sorted(keys)
        assert [s.rank for s in found] == list(range(1, len(found) + 1))
        assert suspects(gold, systems[::-1]) == suspects(gold, systems)


def crowd(seed=1, count=120, right=0.8, seeds=5):
    """Gold of a made-up corpus and systems that are right by chance, each on its own."""
    rng = Random(seed)
    gold, systems = [], [{} for _ in range(seeds)]
    for number in range(count):
        boxes = ((10.0, 10.0, 40.0, 60.0),) if rng.random() < 0.6 else ()
        entities = (Entity(1, 2, rng.choice(("PER", "LOC", "ORG")), boxes), Entity(5, 5, "PER"))
        gold.append(example(*entities, id_=str(number)))
        for skill, answers in enumerate(systems):
            answers[str(number)] = tuple(
                Prediction(
                    e.start,
                    e.end + (e.end < 7 and rng.random() > right + skill * 0.03),
                    e.type if rng.random() < right + skill * 0.03 else rng.choice(("PER", "LOC")),
                    e.boxes[0] if e.boxes and rng.random() < right else None,
                )
                for e in entities
            )
    return gold, systems


@pytest.mark.parametrize(("kind", "least"), [("span", 0.8), ("type", 0.8), ("region", 0.6)])
def test_planted_errors_come_first(kind, least):
    gold, systems = crowd()
    planted, wrong = plant(gold, kind, 0.05, Random(4))
    assert len(wrong) == 12
    changed = {
        (one.id, n)
        for one, other in zip(gold, planted, strict=True)
        for n in range(2)
        if one.entities[n] != other.entities[n]
    }
    assert changed == wrong
    found = find(gold, systems, kind, 0.05)
    assert found.share == pytest.approx(0.05)
    assert found.precision[9] >= least
    assert found.at_all > 5 * found.share


def tau_b(one, other):
    """Kendall's, from its definition."""

    def signs(values):
        return [(a > b) - (a < b) for a, b in combinations(values, 2)]

    first, second = signs(one), signs(other)
    together = sum(a * b for a, b in zip(first, second, strict=True))
    return together / (sum(map(abs, first)) * sum(map(abs, second))) ** 0.5


def test_the_order_of_systems_without_and_with_mended_labels():
    gold, systems = crowd()
    planted, _ = plant(gold, "type", 0.2, Random(2))
    ranked = suspects(planted, systems)
    as_it_is, dropped, mended_ = shifts(planted, systems, ranked, "mner", first=(40,))
    assert as_it_is.tau == 1
    assert (
        dropped.labels == mended_.labels == len({(s.id, s.place) for s in ranked if s.rank <= 40})
    )
    assert min(mended_.f1) > min(as_it_is.f1)
    (true,) = shifts(gold, systems, (), "mner", first=())
    for one in (as_it_is, dropped, mended_):
        assert kendall(true.f1, one.f1) == pytest.approx(tau_b(true.f1, one.f1))
    assert kendall((1.0, 1.0), (0.0, 1.0)) is None


def test_a_label_that_all_miss_is_mended_by_taking_it_out():
    gold = [example(Entity(0, 0, "PER"), Entity(3, 3, "LOC"))]
    found = suspects(gold, systems_of([Prediction(3, 3, "LOC")], [Prediction(3, 3, "LOC")]))
    assert [(one.kind, one.against, one.instead) for one in found] == [("span", 2, None)]
    assert mended(gold, found)[0].entities == (Entity(3, 3, "LOC"),)
