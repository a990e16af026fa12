"""Suite ``score``: strict scoring and decoding of a test split's worth of tweets."""

import random

import torch

from gmbench.core.entities import Entity, Prediction
from gmbench.core.tensors import Outputs
from gmbench.objective.decode import Decoder
from gmbench.scoring.counting import score_corpus
from tests.speed.measure import Findings, take_turns
from tests.speed.sizes import TYPES, Size, batch_of

TWEETS = 1500
"""About the real test split."""


def run(size: Size, repeats: int) -> Findings:
    """Score ``TWEETS`` tweets in three tasks; decode as many with all queries (tiny: 60)."""
    tweets = TWEETS if size.paper else 60
    pairs = corpus(tweets)
    slots = size.regions + 1
    batch = batch_of(size, features=1, pixels=False)
    g = torch.Generator().manual_seed(0)
    shapes = (len(TYPES) + 1, size.words, size.words, slots)
    kinds, starts, ends, regions = (
        torch.randn(size.rows, size.queries, last, generator=g) for last in shapes
    )
    outputs = Outputs(
        type_logits=kinds, start_logits=starts, end_logits=ends, region_logits=regions
    )
    decoder = Decoder(types=tuple(TYPES))
    rounds = -(-tweets // size.rows)
    laps = take_turns(
        {
            "score": lambda: score_corpus(pairs),
            "decode": lambda: [decoder(outputs, batch) for _ in range(rounds)],
        },
        repeats=repeats,
    )
    return Findings(
        (
            laps["score"].row("score", f"score {tweets} tweets, three tasks"),
            laps["decode"].row("score", f"decode {tweets} tweets x {size.queries} queries"),
        ),
        {"decode_over_score": laps["decode"].over(laps["score"])},
    )


def corpus(tweets: int) -> list[tuple[tuple[Entity, ...], tuple[Prediction, ...]]]:
    """Random gold entities and predictions, many of them right."""
    draw = random.Random(0)
    pairs = []
    for _ in range(tweets):
        entities, predictions = [], []
        for place in range(draw.randint(1, 4)):
            kind = draw.choice(list(TYPES))
            box = (10.0, 10.0, 90.0, 80.0) if draw.random() < 0.5 else None
            entities.append(Entity(3 * place, 3 * place + 1, kind, (box,) if box else ()))
            end = 3 * place + draw.randint(0, 1)
            predictions.append(Prediction(3 * place, end, draw.choice([kind, "PER"]), box))
        pairs.append((tuple(entities), tuple(predictions)))
    return pairs
