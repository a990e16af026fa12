"""A small but complete result, counted from real records."""

from dataclasses import replace

import numpy as np

from gmbench.core.entities import Box, Candidates, Entity, Example, Prediction
from gmbench.core.provenance import GitState
from gmbench.reporting.record import (
    BaselineFigures,
    ConfigUsed,
    Cost,
    DataUsed,
    Machine,
    Metrics,
    Part,
    ProtocolUsed,
    RunResult,
    Selection,
    StoredFile,
)
from gmbench.scoring.baselines import baselines
from gmbench.scoring.counting import PROTOCOL, PROTOCOL_VERSION, score_corpus

BOX: Box = (0.0, 0.0, 10.0, 10.0)
TRAIN = [Example("t", ("York", "Kevin"), (Entity(0, 0, "LOC"), Entity(1, 1, "PER", (BOX,))))]
GOLD = [
    Example("a", ("York", "wins"), (Entity(0, 0, "LOC"),), size=(10, 10)),
    Example(
        "b",
        ("Kevin", "Durant"),
        (Entity(0, 1, "PER", (BOX,)),),
        size=(10, 10),
        candidates=Candidates(boxes=np.array([BOX])),
    ),
]
PREDICTIONS = {
    "a": (Prediction(0, 0, "LOC"),),
    "b": (Prediction(0, 1, "PER", BOX), Prediction(0, 1, "LOC", BOX)),
}


def sample(*, saw_pixels: bool = True) -> RunResult:
    scores = score_corpus((e.entities, PREDICTIONS[e.id]) for e in GOLD)
    figures = tuple(
        BaselineFigures.of(f, score_corpus((e.entities, f.predictions[e.id]) for e in GOLD))
        for f in baselines(TRAIN, GOLD)
    )
    return RunResult(
        protocol=ProtocolUsed(name=PROTOCOL, version=PROTOCOL_VERSION, iou_threshold=0.5),
        data=DataUsed(
            name="two_tweets",
            synthetic=True,
            fingerprint="f" * 64,
            split="test",
            n=scores.n,
            limit=None,
            saw_pixels=saw_pixels,
            blanked=0 if saw_pixels else 2,
        ),
        config=ConfigUsed(model="mqspn", sha="c" * 64, overrides=("model=mqspn",), seed=1),
        code=GitState(commit="a" * 40, dirty=False),
        versions={"python": "3.11.7", "numpy": "2.0"},
        machine=Machine(device="cpu", processes=1, threads=2, precision="32-true"),
        parameters=(
            Part(name="text", total=1_500_000, trainable=0),
            Part(name="head", total=20_000, trainable=20_000),
        ),
        cost=Cost(seconds=12.5, peak_memory_mib=300.0, samples_per_second=None),
        selection=Selection(rule="gmner_f1", split="dev", value=0.5, epoch=3),
        checkpoint=StoredFile(path="checkpoints/best.ckpt", sha256="b" * 64),
        predictions=None,
        metrics=Metrics.of(scores, saw_pixels=saw_pixels),
        floors=figures,
    )


def with_overrides(*overrides: str) -> RunResult:
    result = sample()
    return replace(result, config=replace(result.config, overrides=overrides))
