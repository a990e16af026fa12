"""Suite ``score``: strict scoring and decoding of as many tweets as a test split holds."""

import random

from gmbench.core.entities import Entity, Prediction
from gmbench.objective.decode import Decoder
from gmbench.scoring.counting import score_corpus
from tests.speed.measure import Findings, Spread, take_turns
from tests.speed.sizes import TYPES, Size, batch_of
from tests.tensor_builders import make_outputs


def run(size: Size, repeats: int) -> Findings:
    """Score 1,500 tweets in three tasks and decode as many (60 in tiny sizes)."""
    tweets = 1500 if size.paper else 60
    pairs = corpus(tweets)
    slots = size.regions + 1
    batch = batch_of(size, features=1, pixels=False)
    outputs = make_outputs(
        size.rows, queries=size.queries, words=size.words, types=len(TYPES), slots=slots
    ).map(lambda logits: logits.detach().float())
    decoder = Decoder(types=tuple(TYPES))
    rounds = -(-tweets // size.rows)
    laps = take_turns(
        {
            "score": lambda: score_corpus(pairs),
            "decode": lambda: [decoder(outputs, batch) for _ in range(rounds)],
        },
        repeats=repeats,
    )
    scoring = laps["score"].row("score", f"score {tweets} tweets, three tasks")
    decoding = laps["decode"].row("score", f"decode {tweets} tweets x {size.queries} queries")
    figures = {"decode_over_score": laps["decode"].over(laps["score"])}
    for name, lap in laps.items():
        figures[f"{name}_ms_per_1500"] = Spread.of(*(1.5e6 * s / tweets for s in lap.seconds))
    return Findings((scoring, decoding), figures)


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
