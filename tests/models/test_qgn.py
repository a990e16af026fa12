"""QGN as a whole: every row of docs/qgn.md trains a step; shapes, sizes, learning by heart."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, CLIPVisionConfig, CLIPVisionModel

from gmbench.config import check, compose, parse
from gmbench.config.instantiate import construct
from gmbench.core.errors import InputError
from gmbench.core.tensors import Batch
from gmbench.lifecycle.build import build_encoders, build_model
from gmbench.nn.text import TextEncoder
from gmbench.nn.vision import from_clip
from gmbench.scoring.counting import region_right
from models.qgn import QGN
from tests.models.bench import Bench, bench_of, step_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "qgn.md"
ROWS = re.findall(r"^\| (.+?) \|.*`(model\.[^`]+)` \|$", PAGE.read_text(), flags=re.M)

SILENT: dict[str, set[str]] = {}
"""Golden list (acceptance 3): parameters that a row leaves without gradient. None may."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="module")
def bench(world) -> Bench:
    return bench_of("qgn", world, first=lambda example: -len(example.entities))


def test_the_page_lists_every_table():
    names = [name for name, _ in ROWS]
    assert len(ROWS) >= 60
    for table, rows in {"III:": 7, "IV:": 3, "V:": 8, "VI:": 8, "Figure 3": 1}.items():
        assert sum(name.startswith(table) for name in names) == rows


@pytest.mark.parametrize(("name", "overrides"), ROWS, ids=[f"{n} {o}" for n, o in ROWS])
def test_every_row_of_the_page_trains_a_step(name, overrides, bench):
    settings, model, batch = step_of(bench, overrides)
    silent = {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert silent == SILENT.get(name, set())
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    decoder = construct(settings.model.decode, types=("A", "B", "C", "D"))
    assert len(decoder(model.eval()(batch), batch)) == 2


def test_there_is_no_way_to_crop_an_image():
    """Acceptance 7: a crop would put 5 % of the boxes of the tweets out of reach."""
    with pytest.raises(InputError, match="resize"):
        check(compose(["model=qgn", "+encoders.resize=centre_crop"]))


def test_without_any_pixels_it_answers_as_with_masked_ones(bench):
    model, batch = bench.run.module.model.eval(), bench.batch
    blind = replace(batch, image_mask=torch.zeros_like(batch.image_mask))
    none = replace(blind, pixels=None)
    with torch.no_grad():
        one, two = model(blind), model(none)
    for name in ("type_logits", "start_logits", "boxes", "no_target_logits"):
        torch.testing.assert_close(getattr(one, name), getattr(two, name), atol=1e-5, rtol=0)


def test_attention_comes_on_demand_and_sums_to_one(bench):
    model, batch = bench.run.module.model.eval(), bench.batch
    with torch.no_grad():
        plain, shown = model(batch), model(batch, attention=True)
    assert plain.attention is None
    weights = shown.attention.query_to_patch
    side = batch.pixels.shape[-1] // model.hvla.tower.patch_size
    assert weights.shape == (4, model.mqa.initial.number, side * side)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones_like(weights[..., 0]))
    torch.testing.assert_close(plain.boxes, shown.boxes)


def test_deep_supervision_is_for_training_only(bench):
    model = bench.run.module.model
    layers = len(model.mqd.fde) + len(model.mqd.refine)
    assert len(model.train()(bench.batch).aux) == layers - 1
    assert model.eval()(bench.batch).aux == ()


def paper_depths(width: int) -> QGN:
    """The paper's model, 12 blocks and 12 heads, at any width."""
    size = {"hidden_size": width, "num_hidden_layers": 12, "num_attention_heads": 12}
    text = BertModel(BertConfig(**size, intermediate_size=4 * width), add_pooling_layer=False)
    tower = CLIPVisionModel(CLIPVisionConfig(**size, intermediate_size=4 * width, patch_size=32))
    return QGN(
        text_encoder=TextEncoder(model=text, identity=""),
        vision_encoder=from_clip(tower, identity=""),
        type_names=("A", "B", "C", "D"),
        heads=12,
    )


def millions(*parts: nn.Module) -> float:
    return sum(p.numel() for part in parts for p in part.parameters()) / 1e6


def test_sizes_at_paper_scale():
    """QGN.md section 4: new parameters in millions, by part."""
    with torch.device("meta"):
        model = paper_depths(768)
    hvla, mqd = model.hvla, model.mqd
    assert millions(model.mqa) == pytest.approx(4.8, abs=0.05)
    assert millions(hvla) - millions(hvla.tower) == pytest.approx(16.5, abs=0.05)
    assert millions(mqd.places, mqd.vtf) == pytest.approx(7.5, abs=0.05)
    assert millions(mqd.fde) == pytest.approx(28.4, abs=0.05)
    mre = (mqd.refine, mqd.vision_branch, mqd.merge, mqd.merge_norm)
    assert millions(*mre) == pytest.approx(35.4, abs=0.05)
    assert millions(model.heads) == pytest.approx(3.6, abs=0.1)
    assert hvla.text_blocks == (1, 4, 7, 10)
    assert hvla.changed == (2, 5, 8, 11)
    assert hvla.tower.depth == 11


def test_shapes_at_paper_depths():
    """Acceptance 1: 9 sub-words, 5 words, 60 queries, 49 patches and a class token."""
    batch = Batch(
        ids=("a", "b"),
        input_ids=torch.zeros(2, 9, dtype=torch.long),
        token_mask=torch.ones(2, 9, dtype=torch.bool),
        word_index=torch.zeros(2, 9, dtype=torch.long),
        word_mask=torch.ones(2, 5, dtype=torch.bool),
        image_sizes=torch.ones(2, 2),
        image_mask=torch.ones(2, dtype=torch.bool),
        pixels=torch.zeros(2, 3, 224, 224),
    )
    outputs = paper_depths(24).eval()(batch, attention=True)
    assert outputs.type_logits.shape == (2, 60, 5)
    assert outputs.start_logits.shape == outputs.end_logits.shape == (2, 60, 5)
    assert outputs.boxes.shape == (2, 60, 4)
    assert outputs.no_target_logits.shape == (2, 60)
    assert outputs.attention.query_to_patch.shape == (2, 60, 49)


def test_overfits_four_tweets(bench):
    """Acceptance 10: every gold entity, box included, by step 200."""
    torch.manual_seed(1)
    settings = parse(compose([*bench.overrides, "model.network.num_queries=16"]))
    module, batch = bench.run.module, bench.batch
    model = build_model(
        settings.model.network,
        build_encoders(settings.encoders, settings.regions),
        bench.run.source.types,
    )
    module._trainer = SimpleNamespace(current_epoch=0)
    learning = list(model.parameters())
    optimizer = torch.optim.AdamW(learning, 1e-3)
    rows = {e.id: e.entities for e in bench.run.data.splits["train"].examples}
    wanted = sum(len(rows[i]) for i in batch.ids)
    for step in range(1, 201):
        model.train()
        optimizer.zero_grad()
        module.loss(model(batch), batch).total.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        if step % 25:
            continue
        with torch.no_grad():
            answers = module.decoder(model.eval()(batch), batch)
        right = sum(
            (p.start, p.end, p.type) == (e.start, e.end, e.type)
            and region_right(p.box, e.boxes, 0.5)
            for name, found in zip(batch.ids, answers, strict=True)
            for p in found
            for e in rows[name]
        )
        if right == wanted == sum(map(len, answers)):
            return
    pytest.fail(f"{right} of {wanted} gold entities after 200 steps")
