"""Documents for scorers: random ones full of hard cases, and the worked examples of the papers."""

import json
import random
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from gmbench.core.entities import Box, Entity, Prediction

TYPES = ("PER", "LOC", "ORG")
# Few places and few sizes: equal spans, equal boxes and an IoU of exactly 0.5 are all common.
BOXES: tuple[Box, ...] = (
    (0, 0, 10, 10),
    (0, 0, 10, 20),
    (0, 0, 20, 10),
    (0, 0, 10, 5),
    (5, 0, 15, 10),
    (0, 0, 10.5, 10.25),
    (30, 30, 40, 40),
    (3, 3, 3, 9),
    (10, 10, 0, 0),
)
Document = tuple[list[Entity], list[Prediction]]

spans = st.tuples(st.integers(0, 2), st.integers(0, 1)).map(lambda s: (s[0], s[0] + s[1]))


@st.composite
def gold_entities(draw: st.DrawFn, most_boxes: int = 3) -> Entity:
    start, end = draw(spans)
    boxes = draw(st.lists(st.sampled_from(BOXES), max_size=most_boxes))
    return Entity(start, end, draw(st.sampled_from(TYPES)), tuple(boxes))


@st.composite
def predicted_entities(draw: st.DrawFn) -> Prediction:
    start, end = draw(spans)
    box = draw(st.none() | st.sampled_from(BOXES))
    return Prediction(start, end, draw(st.sampled_from(TYPES)), box)


golds = st.lists(gold_entities(), max_size=5)
preds = st.lists(predicted_entities(), max_size=6)
corpora = st.lists(st.tuples(golds, preds), max_size=4)


def random_document(rng: random.Random) -> Document:
    def span() -> tuple[int, int]:
        start = rng.randrange(3)
        return start, start + rng.randrange(2)

    gold = [
        Entity(*span(), rng.choice(TYPES), tuple(rng.choices(BOXES, k=rng.choice((0, 0, 1, 1, 2)))))
        for _ in range(rng.randrange(6))
    ]
    pred = [
        Prediction(*span(), rng.choice(TYPES), rng.choice((None, *BOXES)))
        for _ in range(rng.randrange(6))
    ]
    return gold, pred


def worked_examples(shared: Path) -> list[tuple[dict[str, Any], list[Entity], list[Prediction]]]:
    """The twelve examples worked out by hand: their JSON, gold and predictions."""
    examples = json.loads((shared / "golden" / "metric_examples.json").read_text())["examples"]
    assert len(examples) == 12
    return [
        (
            row,
            [Entity(*g["span"], g["type"], tuple(map(tuple, g["boxes"]))) for g in row["gold"]],
            [
                Prediction(*p["span"], p["type"], box and tuple(box), p["score"], p["region"])
                for p in row["pred"]
                for box in [row["candidates"][p["region"] - 1] if p["region"] else None]
            ],
        )
        for row in examples
    ]
