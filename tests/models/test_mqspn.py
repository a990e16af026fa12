"""MQSPN as a whole: every switch trains a step, leaves no parameter behind and stays exact."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from gmbench.config import compose, conf_dir, parse
from gmbench.config.instantiate import construct
from gmbench.core.tensors import Batch
from gmbench.lifecycle.build import Run, build_run
from gmbench.training.optimizer import parameters_by_part
from tests.models.bench import Bench, bench_of, composed, fresh
from tests.models.test_contract import as_double, close, padded

PAGE = Path(__file__).parents[2] / "docs" / "mqspn.md"
TEXT = PAGE.read_text()
ABLATIONS = {
    name: overrides.split()
    for name, overrides in re.findall(r"^\| (w/o \w+) \| `([^`]+)` \|$", TEXT, re.M)
}
SWITCHES = {
    "default": [],
    **ABLATIONS,
    "trained PTQ": ["model.network.mqs.ptq_trainable=true"],
    "direct fusion": ["model.network.qfnet.direct=true"],
    "token prefix": ["model.network.qfnet.prefix_source=token"],
    "existence": ["model.network.msp.entity_classifier=existence"],
    "existence in order": [
        "model.network.msp.entity_classifier=existence",
        "model.matcher.solver=order",
    ],
    "own boundary heads": ["model.network.msp.share_boundary_proj=false"],
    "no regions in the classifier": ["model.network.msp.classifier_regions=false"],
    "sigmoid": ["model.activation=sigmoid", "model.loss_kind=bce"],
    "query self-attention": ["model.network.qfnet.query_self_attention=true"],
    "no positions": ["model.network.qfnet.query_pos=none", "model.network.word_pos=none"],
    "added positions": ["model.network.qfnet.query_pos=add"],
    "blocks, wide queries": ["model.network.mqs.repeat=block", "model.network.mqs.init_std=1.0"],
    "plain dot product": ["model.network.sag.scale=none"],
    "learned lambda": ["model.network.sag.lambda_learnable=true"],
    "learned slot 0": ["model.network.ungrounded=learned"],
    "no deep supervision": ["model.loss.aux_weight=0"],
    "a gold row a candidate": ["model.loss.region_target=expand"],
    "fixed weight of no entity": ["model.loss.terms.type.nil_weight=0.1"],
    "joint text encoder": ["model.network.query_encoder=joint_bert"],
    "joint text encoder w/o QCT": [
        "model.network.query_encoder=joint_bert",
        "model.network.qfnet.qct=false",
    ],
    "centred crops": ["regions.crop=center"],
    "ROI-align": ["regions.encoder=roi_align"],
    "trained vision": ["model.network.train_vision=true"],
    "trained vision on one map": [
        "model.network.train_vision=true",
        "regions.encoder=roi_align",
    ],
    "few queries, few regions": ["model.network.num_queries=8", "regions.num=3"],
    "the paper": ["+experiment=mqspn_paper", "encoders=tiny"],
    "as released": [
        "+experiment=mqspn_official",
        "encoders=tiny",
        "encoders.crop_size=48",
        "trainer.batch_size=4",
    ],
}


BATCHES = ("data.limit=8", "trainer.batch_size=2", "trainer.eval_batch_size=4")
SAME_DATA = ("model.network.", "model.loss", "model.matcher.", "model.activation=")
"""What these set changes no batch; but a vision encoder that learns reads pixels."""


@dataclass(frozen=True)
class Trial:
    """A model under some overrides, its loss, and a batch of each kind."""

    model: nn.Module
    loss: nn.Module
    train: Batch
    dev: Batch

    @classmethod
    def of(cls, run: Run) -> "Trial":
        train, dev = (next(iter(f())) for f in (run.data.train_dataloader, run.data.val_dataloader))
        return cls(run.module.model, run.module.loss, train, dev)


@pytest.fixture(scope="module")
def plain(world) -> tuple[Bench, Trial]:
    bench = bench_of("mqspn", world, *BATCHES)
    return bench, Trial.of(bench.run)


@pytest.fixture
def built(plain) -> Callable[..., Trial]:
    """A model under some overrides, on the batches of all others wherever these are the same."""
    bench, same = plain

    def made(*overrides: str) -> Trial:
        if all(o.startswith(SAME_DATA) and "train_vision" not in o for o in overrides):
            torch.manual_seed(1)
            settings, model = fresh(bench, " ".join(overrides))
            loss = construct(settings.model.loss, matcher=construct(settings.model.matcher))
            return replace(same, model=model, loss=loss)
        return Trial.of(build_run(parse(composed(bench.overrides, overrides))))

    return made


def train_a_step(trial: Trial, name: str) -> None:
    """Two steps of gradient descent, each parameter heard in both."""
    model, batch = trial.model.train(), trial.train
    learning = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.SGD(learning.values(), 1e-4)
    for _ in range(2):
        optimizer.zero_grad()
        values = trial.loss(model(batch), batch)
        values.total.backward()
        assert values.total.isfinite()
        assert [n for n, p in learning.items() if p.grad is None] == [], f"{name}: no gradient"
        assert all(p.grad.isfinite().all() for p in learning.values() if p.grad is not None)
        optimizer.step()
    frozen = [p for p in model.parameters() if not p.requires_grad]
    assert all(p.grad is None for p in frozen)


def stay_exact(trial: Trial) -> None:
    """Padding, further masked regions, company and order change no output."""
    model, batch = trial.model.double().eval(), as_double(trial.dev)
    assert batch.region_mask is not None
    words, slots = batch.word_mask.shape[1], batch.region_mask.shape[1]
    alone = replace(batch.map(lambda t: t[2:3]), ids=batch.ids[2:3])
    with torch.no_grad():
        whole, back = model(batch), model(batch.map(lambda t: t.flip(0)))
        close(whole, model(padded(batch, 5, 7, 3)), words, slots)
        close(whole, model(alone), words, slots, slice(2, 3))
        close(whole, back.map(lambda t: t.flip(0)), words, slots)


def test_the_page_names_all_six_ablations():
    assert list(ABLATIONS) == [f"w/o {part}" for part in ("PTQ", "LEQ", "QCT", "QPI", "SAG", "BML")]


def test_the_page_names_every_key_of_the_network():
    nodes = compose([]).model.network
    groups = [key for key in nodes if OmegaConf.is_dict(nodes[key])]
    keys = {f"{group}.{key}" for group in groups for key in nodes[group]} | set(nodes) - set(groups)
    silent = {key for key in keys if f"`N.{key}`" not in TEXT and not key.endswith("_target_")}
    assert silent == {"mqs.human_queries", "msp.activation"}


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_trains_a_step_and_stays_exact(name, built):
    trial = built(*SWITCHES[name])
    train_a_step(trial, name)
    stay_exact(trial)


@pytest.mark.parametrize("pair", list(combinations(ABLATIONS, 2)), ids=" and ".join)
def test_any_two_ablations_train_a_step(pair, built):
    train_a_step(
        built("model.network.qfnet.layers=1", *ABLATIONS[pair[0]], *ABLATIONS[pair[1]]), ""
    )


def test_without_every_part_it_still_trains(built):
    train_a_step(built(*(o for overrides in ABLATIONS.values() for o in overrides)), "none")


def test_the_release_says_what_it_is():
    cfg = compose(["+experiment=mqspn_official"])  # the paper: test_paper_settings.py
    assert cfg.encoders.text_name == "bert-base-cased"
    assert cfg.encoders.vision_name == "openai/clip-vit-base-patch32"
    assert (cfg.trainer.epochs, cfg.optim.freeze_epochs, cfg.optim.warmup) == (50, 5, 0.05)
    assert (cfg.optim.lr_encoder, cfg.optim.lr_head) == (2e-5, 2e-5)
    assert (cfg.model.activation, cfg.model.loss_kind) == ("sigmoid", "bce")
    assert cfg.model.network.num_queries == 60
    assert (cfg.trainer.batch_size, cfg.model.network.qfnet.layers) == (8, 5)


def test_each_difference_of_the_release_is_a_commented_line():
    lines = (conf_dir() / "experiment" / "mqspn_official.yaml").read_text().split("model:\n")[1]
    network = lines.split("  matcher:")[0].splitlines()[1:]
    silent = [line for line in network if "#" not in line and not line.endswith(":")]
    assert silent == ["      dropout: 0.1", "      dropout: 0.5"]


def test_candidates_may_differ_between_training_and_evaluation(built):
    trial = built("regions.num=3", "regions.eval_num=6")
    assert trial.train.region_mask.shape[1] == 4
    assert trial.dev.region_mask.shape[1] == 7


def test_parameters_by_part(plain):
    module = plain[0].run.module
    parts = {p.name: p for p in parameters_by_part(module.model, module.learns)}
    assert set(parts) == {
        *("own", "queries", "text_encoder", "vision_encoder", "region_projection"),
        *("word_norm", "qfnet", "heads"),
    }
    assert parts["vision_encoder"].trainable == 0
    assert all(p.trainable == p.total for p in parts.values() if p.name != "vision_encoder")
    total = sum(p.numel() for p in module.model.parameters())
    assert sum(p.total for p in parts.values()) == total
