"""A run of a model on the tiny world and a few of its tweets, for tests of whole models."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig
from torch import nn

from gmbench.config import check, compose, parse
from gmbench.config.instantiate import construct
from gmbench.config.overrides import quoted, replacing
from gmbench.config.schema import Settings
from gmbench.core.tensors import Batch
from gmbench.lifecycle.build import Encoders, Run, build_encoders, build_model, build_run


@dataclass
class Bench:
    """One run on the tiny world, and four tweets of it."""

    overrides: tuple[str, ...]
    run: Run
    encoders: Encoders
    batch: Batch


SMALLER = {
    # untrained, it writes as many entities as it may; no tweet has more than six
    "hindex": ("model.network.search.max_entities=7",),
    "mner_qg": ("encoders.image_size=48",),
    "qgn": ("encoders.image_size=48",),
}
"""What makes a model faster and leaves all of its parts."""


def bench_of(model: str, world: Path, *further: str) -> Bench:
    """Build a model; its batch holds the four shortest tweets with more than an entity or two."""
    data = ("data=synthetic_tiny", f"data.root={world}", f"cache={world}/cache")
    overrides = (f"model={model}", *data, *SMALLER.get(model, ()), *further)
    settings = parse(composed(overrides, ["trainer=debug"]))
    run = build_run(settings)
    data, entities = run.data.dataset("train"), 3 if model == "qgn" else 2
    some = [i for i, example in enumerate(data.examples) if len(example.entities) >= entities]
    chosen = sorted(some, key=lambda i: len(data.examples[i].words))[:4]
    batch = run.data.train_dataloader().collate_fn([data[i] for i in chosen])
    return Bench(overrides, run, build_encoders(settings.encoders, settings.regions), batch)


once = cache(compose)


def composed(base: tuple[str, ...], overrides: Sequence[str]) -> DictConfig:
    """What ``compose([*base, *overrides])`` gives.

    Reading the files is nine tenths of it. Where the overrides choose no file (those that do have
    no dot in their key), Hydra applies them to a copy of what it made of the base.
    """
    if not all("." in override.partition("=")[0] for override in overrides):
        return compose([*base, *overrides])
    copy = deepcopy(once(base))
    parsed = OverridesParser.create().parse_overrides(replacing(map(quoted, overrides)))
    ConfigLoaderImpl._apply_overrides_to_config(parsed, copy)
    return copy


def fresh(bench: Bench, overrides: str) -> tuple[Settings, nn.Module]:
    """The settings of the bench under some overrides, and a new model of them."""
    settings = check(composed(bench.overrides, overrides.split()))
    built = bench.encoders
    encoders = replace(
        built,
        text_encoder=deepcopy(built.text_encoder),
        vision_encoder=deepcopy(built.vision_encoder),
    )
    return settings, build_model(settings.model.network, encoders, bench.run.source.types)


def step_of(bench: Bench, overrides: str) -> tuple[Settings, nn.Module, Batch]:
    """The model under some overrides after the backward pass of one training step."""
    torch.manual_seed(0)
    settings, model = fresh(bench, overrides)
    loss = construct(settings.model.loss, matcher=construct(settings.model.matcher))
    batch = replace(bench.batch.map(lambda t: t[:2]), ids=bench.batch.ids[:2])
    values = loss(model.train()(batch), batch)
    values.total.backward()
    assert values.total.isfinite()
    return settings, model, batch
