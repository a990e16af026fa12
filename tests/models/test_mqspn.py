"""MQSPN as a whole: every switch trains a step, leaves no parameter behind and stays exact."""

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from gmbench.config import compose, conf_dir, parse
from gmbench.lifecycle.build import Run, build_run
from gmbench.training.optimizer import parameters_by_part
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


def built(world: Path, *overrides: str) -> Run:
    data = ["data=synthetic_tiny", "data.limit=8", f"data.root={world}", f"cache={world}/cache"]
    batches = ["trainer.batch_size=4", "trainer.eval_batch_size=6"]
    return build_run(parse(compose([*data, *batches, *overrides])))


def train_a_step(run: Run, name: str) -> None:
    """Two steps of gradient descent, each parameter heard in both."""
    module = run.module.train()
    batch = next(iter(run.data.train_dataloader()))
    learning = {n: p for n, p in module.model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.SGD(learning.values(), 1e-4)
    for _ in range(2):
        optimizer.zero_grad()
        values = module.loss(module.model(batch), batch)
        values.total.backward()
        assert values.total.isfinite()
        assert [n for n, p in learning.items() if p.grad is None] == [], f"{name}: no gradient"
        assert all(p.grad.isfinite().all() for p in learning.values() if p.grad is not None)
        optimizer.step()
    frozen = [p for p in module.model.parameters() if not p.requires_grad]
    assert all(p.grad is None for p in frozen)


def stay_exact(run: Run) -> None:
    """Padding, further masked regions, company and order change no output."""
    model = run.module.model.double().eval()
    batch = as_double(next(iter(run.data.val_dataloader())))
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
def test_every_switch_trains_a_step_and_stays_exact(name, world):
    run = built(world, *SWITCHES[name])
    train_a_step(run, name)
    stay_exact(run)


@pytest.mark.parametrize("pair", list(combinations(ABLATIONS, 2)), ids=" and ".join)
def test_any_two_ablations_train_a_step(pair, world):
    train_a_step(
        built(world, "model.network.qfnet.layers=1", *ABLATIONS[pair[0]], *ABLATIONS[pair[1]]), ""
    )


def test_without_every_part_it_still_trains(world):
    train_a_step(built(world, *(o for overrides in ABLATIONS.values() for o in overrides)), "none")


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


def test_candidates_may_differ_between_training_and_evaluation(world):
    run = built(world, "regions.num=3", "regions.eval_num=6")
    first, second = (next(iter(f())) for f in (run.data.train_dataloader, run.data.val_dataloader))
    assert first.region_mask.shape[1] == 4
    assert second.region_mask.shape[1] == 7


def test_parameters_by_part(world):
    run = built(world)
    parts = {p.name: p for p in parameters_by_part(run.module.model, run.module.learns)}
    assert set(parts) == {
        *("own", "queries", "text_encoder", "vision_encoder", "region_projection"),
        *("word_norm", "qfnet", "heads"),
    }
    assert parts["vision_encoder"].trainable == 0
    assert all(p.trainable == p.total for p in parts.values() if p.name != "vision_encoder")
    total = sum(p.numel() for p in run.module.model.parameters())
    assert sum(p.total for p in parts.values()) == total
