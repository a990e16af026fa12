"""GroundedF1 equals the plain scorer, to the last digit, on any number of processes."""

import multiprocessing
import random

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from gmbench.core.entities import Entity, Prediction
from gmbench.scoring.counting import CorpusScores, score_corpus
from gmbench.scoring.metric import GroundedF1
from tests.scoring.documents import TYPES, Document, random_document

SIZES = (1, 13, 97)


def corpus(size: int) -> dict[str, Document]:
    rng = random.Random(size)
    return {f"tweet-{k}": random_document(rng) for k in range(size)}


def metric_over(documents: dict[str, Document]) -> GroundedF1:
    return GroundedF1(gold={id_: gold for id_, (gold, _) in documents.items()}, types=TYPES)


def one_process(documents: dict[str, Document]) -> CorpusScores:
    return score_corpus(documents.values())


def feed(metric: GroundedF1, documents: dict[str, Document], ids: list[str], size: int = 4) -> None:
    for at in range(0, len(ids), size):
        batch = ids[at : at + size]
        metric.update(batch, [documents[id_][1] for id_ in batch])


@pytest.mark.parametrize("size", SIZES)
def test_equals_the_plain_scorer(size):
    documents = corpus(size)
    metric = metric_over(documents)
    feed(metric, documents, random.Random(0).sample(list(documents), size))
    assert metric.scores() == one_process(documents)
    assert list(metric.scores().per_type) == sorted(metric.scores().per_type)


def test_an_example_scored_twice_counts_once():
    documents = corpus(13)
    metric = metric_over(documents)
    feed(metric, documents, [*documents, *list(documents)[:5]])
    metric.update(["tweet-3", "tweet-3"], [documents["tweet-3"][1]] * 2)
    assert metric.scores() == one_process(documents)


def test_an_example_scored_in_two_ways_is_an_error():
    metric = GroundedF1(gold={"a": [Entity(0, 0, "PER")]}, types=TYPES)
    metric.update(["a"], [[Prediction(0, 0, "PER")]])
    metric.update(["a"], [[]])
    with pytest.raises(ValueError, match="'a'; call reset"):
        metric.scores()
    metric.reset()
    metric.update(["a"], [[]])
    assert metric.scores().micro.gmner.pred == 0


def test_missing_examples_are_named():
    documents = corpus(13)
    metric = metric_over(documents)
    feed(metric, documents, [id_ for id_ in documents if id_ != "tweet-7"])
    with pytest.raises(ValueError, match="1 of 13 examples were never scored: tweet-7"):
        metric.scores()


def test_unknown_ids_types_and_lengths_are_named():
    metric = GroundedF1(gold={"a": []}, types=["PER"])
    with pytest.raises(ValueError, match="'b' has predictions but is not in gold"):
        metric.update(["b"], [[]])
    with pytest.raises(ValueError, match="'a': unknown type 'CAT'; known: PER"):
        metric.update(["a"], [[Prediction(0, 0, "CAT")]])
    with pytest.raises(ValueError, match="1 ids but 0 lists"):
        metric.update(["a"], [])
    with pytest.raises(ValueError, match="unknown type 'LOC'"):
        GroundedF1(gold={"a": [Entity(0, 0, "LOC")]}, types=["PER"])


def worker(rank: int, world: int, folder: str) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous-{world}", rank=rank, world_size=world
    )
    try:
        for size in SIZES:
            documents = corpus(size)
            ids = list(documents)
            metric = metric_over(documents)
            # Strided shares: uneven at 13 and 97, and empty for the other processes at 1.
            feed(metric, documents, ids[rank::world])
            exact = metric.scores()
            metric.reset()
            # A padded sampler hands samples out again so that all shares are equal.
            padded = [*ids, *ids[: -len(ids) % world], *ids[:1] * world]
            feed(metric, documents, padded[rank::world])
            torch.save((repr(exact), repr(metric.scores())), f"{folder}/{world}-{rank}-{size}.pt")
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_same_digits_on_several_processes(world, tmp_path):
    # A fork server imports torch once; forking pytest itself could deadlock in OpenMP.
    multiprocessing.set_forkserver_preload([__name__])
    mp.start_processes(worker, args=(world, str(tmp_path)), nprocs=world, start_method="forkserver")
    for size in SIZES:
        want = repr(one_process(corpus(size)))
        for rank in range(world):
            got = torch.load(tmp_path / f"{world}-{rank}-{size}.pt", weights_only=True)
            assert got == (want, want), (world, rank, size)
