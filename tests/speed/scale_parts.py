"""The parts that suite ``scale`` measures, each through the code that the verbs run.

What is built once whatever the size (encoders, a model) is not counted.
"""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.speed.processes import own_memory


@dataclass(slots=True)
class Cost:
    """CPU and wall seconds of a part, and the resident MB when it began."""

    cpu: float = 0.0
    wall: float = 0.0
    before: float = 0.0


@contextlib.contextmanager
def _measured() -> Iterator[Cost]:
    cost = Cost(before=own_memory())
    used, began = time.process_time(), time.perf_counter()
    yield cost
    cost.cpu, cost.wall = time.process_time() - used, time.perf_counter() - began


def _verb(name: str) -> Callable[[list[str]], None]:
    """A command as ``python -m`` starts it: the bench lies below the verbs and imports none."""
    main = import_module(f"gmbench.{name}").main

    def start(arguments: list[str]) -> None:
        code = main(arguments)
        if code != 0:
            raise RuntimeError(f"gmbench.{name} {' '.join(arguments)}: exit code {code}")

    return start


def _configuration(place: Path, posts: int) -> Any:
    from gmbench.config import compose

    return compose(_overrides(place, posts))


def _overrides(place: Path, posts: int) -> list[str]:
    return [
        *("data=synthetic_tiny", "trainer=debug", "trainer.num_threads=1"),
        f"data.world.train={posts}",
        *(f"data.world.{split}={max(8, posts // 8)}" for split in ("dev", "test")),
        f"data.root={place / 'data'}",
        f"cache={place / 'cache'}",
    ]


def _make(place: Path, posts: int, trained: Path) -> Cost:
    """Draw the world and write it."""
    from gmbench.lifecycle.build_data import build_source

    source = build_source(_configuration(place, posts))
    assert source.world is not None
    with _measured() as cost:
        source.world.ensure(source.root)
    return cost


def _prepare(place: Path, posts: int, trained: Path) -> Cost:
    """``gmbench.prepare``: every text, annotation and picture is read and counted."""
    prepare = _verb("prepare")
    with _measured() as cost, _silence():
        prepare(_overrides(place, posts))
    return cost


def _read(place: Path, posts: int, trained: Path) -> Cost:
    """The training split as a run holds it: records, and sub-words."""
    from gmbench.data.dataset import tokenise
    from gmbench.lifecycle.build_data import build_regions, build_source
    from gmbench.nn.text import tiny_tokenizer

    cfg = _configuration(place, posts)
    source, tokenizer = build_source(cfg), tiny_tokenizer()
    regions = build_regions(cfg, source)
    with _measured() as cost:
        split = source.read("train", regions)
        kept = tokenise(tokenizer, [example.words for example in split.examples])
    assert len(kept) == posts
    return cost


def _cache(place: Path, posts: int, trained: Path) -> Cost:
    """Region features of the training split, computed and kept."""
    import torch

    from gmbench.data.features import region_features
    from gmbench.lifecycle.build import build_encoders, frozen_encoder
    from gmbench.lifecycle.build_data import build_regions, build_source

    torch.set_num_threads(1)
    cfg = _configuration(place, posts)
    source, encoders = build_source(cfg), build_encoders(cfg)
    split = source.read("train", build_regions(cfg, source))
    encode = frozen_encoder(encoders.vision_encoder, torch.device("cpu"))
    encode(torch.zeros(11, 3, cfg.encoders.crop_size, cfg.encoders.crop_size), None)  # warm-up
    with _measured() as cost:
        region_features(
            split.examples,
            encode=encode,
            pixels=encoders.pixels,
            num_regions=cfg.regions.num,
            folder=place / "measured",
            identity="measured",
            label="train",
        )
    return cost


def _epoch(place: Path, posts: int, trained: Path) -> Cost:
    """One epoch of MQSPN."""
    import lightning
    import torch

    from gmbench.lifecycle.build import build_run

    torch.set_num_threads(1)
    run = build_run(_configuration(place, posts))
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    with _measured() as cost:
        trainer.fit(run.module, run.data)
    return cost


def _predict(place: Path, posts: int, trained: Path) -> Cost:
    """``gmbench.predict`` over a file of posts with pictures; half the posts have been read."""
    import torch

    torch.set_num_threads(1)
    images = next((place / "data").glob("world-*/images"))
    lines = place / "posts.jsonl"
    with lines.open("w", encoding="utf-8") as file:
        for i in range(posts):
            post = {"id": str(i), "text": "a word or two of it", "image": f"train_{i:06d}.jpg"}
            file.write(json.dumps(post) + "\n")
    predict = _verb("predict")
    with _measured() as cost, _silence():
        predict([str(trained), "--input", str(lines), "--images", str(images)])
    return cost


def _score(place: Path, posts: int, trained: Path) -> Cost:
    """``gmbench.score`` on two files, with intervals."""
    from tests.speed.score import corpus

    gold, predictions = place / "gold.jsonl", place / "predictions.jsonl"
    with gold.open("w") as left, predictions.open("w") as right:
        for i, (entities, found) in enumerate(corpus(posts)):
            rows = [
                {"start": e.start, "end": e.end, "type": e.type, "boxes": list(e.boxes)}
                for e in entities
            ]
            left.write(json.dumps({"id": str(i), "words": ["w"] * 13, "entities": rows}) + "\n")
            rows = [
                {"start": p.start, "end": p.end, "type": p.type, "box": p.box, "score": p.score}
                for p in found
            ]
            right.write(json.dumps({"id": str(i), "entities": rows}) + "\n")
    score = _verb("score")
    with _measured() as cost, _silence():
        score([str(gold), str(predictions), "--json"])
    return cost


def _report(place: Path, runs: int, trained: Path) -> Cost:
    """``gmbench.report`` over copies of a run that differ in their seeds."""
    from gmbench.reporting.record import read_result, write_result

    result = read_result(trained / "result.json")
    for seed in range(runs):
        folder = place / "runs" / f"seed={seed}"
        folder.mkdir(parents=True)
        shutil.copy(trained / "tweets.test.csv", folder)
        config = replace(result.config, seed=seed, sha=f"{seed:064x}")
        write_result(folder / "result.json", replace(result, config=config))
    report = _verb("report")
    with _measured() as cost, _silence():
        report([str(place / "runs")])
    return cost


PARTS: dict[str, Callable[[Path, int, Path], Cost]] = {
    "make": _make,
    "prepare": _prepare,
    "read": _read,
    "cache": _cache,
    "epoch": _epoch,
    "predict": _predict,
    "score": _score,
    "report": _report,
}


def train(folder: Path, posts: int) -> None:
    """A finished run to predict with and to report."""
    from rich.console import Console

    from gmbench.lifecycle.execute import execute

    cfg = _configuration(folder.parent / "of_trained", posts)
    cfg.trainer.epochs = 1
    with _silence():
        execute(cfg, folder, (), Console(file=open(os.devnull, "w")))  # noqa: SIM115


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
