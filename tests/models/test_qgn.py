"""QGN as a whole: shapes and sizes at paper scale, images it does not see."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, CLIPVisionConfig, CLIPVisionModel

from gmbench.config import check, compose
from gmbench.core.errors import InputError
from gmbench.core.tensors import Batch
from gmbench.nn.text import TextEncoder
from gmbench.nn.vision import from_clip
from models.qgn import QGN
from tests.models.bench import Bench, bench_of


@pytest.fixture(scope="module")
def bench(world) -> Bench:
    return bench_of("qgn", world)


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


@pytest.mark.parametrize("source", ["hvla", "mre"])
def test_boxes_are_read_off_the_patches_of_the_setting(source, bench):
    """The vision branch reaches boxes directly, or through the queries alone."""
    model = deepcopy(bench.run.module.model)
    model.box_vision = source
    nn.init.zeros_(model.mqd.merge.out.weight)  # not through the queries
    boxes = []
    for shift in (0.0, 1.0):
        with torch.no_grad():
            model.mqd.vision_branch[-1].cross.feed_norm.weight += shift
            boxes.append(model.eval()(bench.batch).boxes)
    assert torch.equal(*boxes) == (source == "hvla")


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
