"""MQSPN at the edges: odd batches, attention on demand, what it refuses."""

from dataclasses import replace

import pytest
import torch

from gmbench.config.instantiate import construct
from gmbench.core.tensors import Batch, Targets
from gmbench.nn.text import tiny_text, tiny_tokenizer
from gmbench.nn.vision import tiny_vision
from models.mqspn import MQSPN
from models.mqspn.fusion import QFNetSettings
from models.mqspn.heads import MSPSettings
from models.mqspn.queries import MQSSettings
from tests.models.bench import composed
from tests.tensor_builders import make_batch, make_targets

TYPES = ("Person", "Location", "Organization", "Others")


def network(mqs=None, qfnet=None, msp=None, **settings) -> MQSPN:
    torch.manual_seed(0)
    return MQSPN(
        text_encoder=tiny_text(pretrained=False),
        vision_encoder=tiny_vision(pretrained=False),
        tokenizer=tiny_tokenizer(),
        type_names=TYPES,
        mqs=MQSSettings(**mqs or {}),
        qfnet=QFNetSettings(**{"layers": 2, **(qfnet or {})}),
        msp=MSPSettings(**msp or {}),
        **{"num_queries": 8, **settings},
    )


def batch_of(counts: list[int], *, words: int = 7, slots: int = 4) -> Batch:
    targets = make_targets(counts, words=words, types=4, slots=slots)
    batch = make_batch(targets, rows=len(counts), words=words, slots=slots)
    return replace(batch, region_features=torch.randn(len(counts), slots, 128))


def no_candidate(batch: Batch) -> Batch:
    """Slot 0 alone; groundable entities are then covered by nothing."""
    targets = batch.targets
    assert isinstance(targets, Targets)
    return replace(
        batch,
        region_mask=batch.region_mask[:, :1],
        region_boxes=batch.region_boxes[:, :1],
        region_features=batch.region_features[:, :1],
        targets=replace(targets, regions=targets.regions[..., :1]),
    )


@pytest.mark.parametrize(
    ("settings", "overrides"),
    [
        ({"msp": {"activation": "softmax"}}, []),
        (
            {"msp": {"entity_classifier": "existence", "activation": "sigmoid"}},
            ["model.activation=sigmoid", "model.loss_kind=bce"],
        ),
        ({"msp": {"activation": "softmax"}}, ["model.loss.region_target=expand"]),
        (
            {"num_queries": 4, "msp": {"entity_classifier": "existence", "activation": "softmax"}},
            ["model.matcher.solver=order"],
        ),
    ],
    ids=["default", "paper", "expanded", "in order"],
)
@pytest.mark.parametrize("kind", ["no entity", "one word", "six", "no candidate", "few queries"])
def test_odd_batches_are_finite(kind, settings, overrides):
    cfg = composed((), overrides).model
    loss = construct(cfg.loss, matcher=construct(cfg.matcher))
    batch = {
        "no entity": batch_of([0, 0]),
        "one word": batch_of([1, 0], words=1),
        "six": batch_of([6, 1]),
        "no candidate": no_candidate(batch_of([3, 1])),
        "few queries": batch_of([6, 5]),
    }[kind]
    few = {"num_queries": 4} if kind == "few queries" else {}
    model = network(**{**settings, **few}).train()
    values = loss(model(batch), batch)
    values.total.backward()
    assert values.total.isfinite()
    learning = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learning)
    if kind == "few queries":
        assert values.matching.unmatched > 0


def test_without_aggregator_there_is_no_attention_to_show():
    with pytest.raises(ValueError, match="without an aggregator"):
        network(qfnet={"aggregator": "none"})(batch_of([1]), attention=True)


def test_existence_without_type_queries_is_refused():
    with pytest.raises(ValueError, match="set entity_classifier=softmax"):
        network(mqs={"type_queries": False}, msp={"entity_classifier": "existence"})


def test_a_batch_without_regions_is_refused():
    batch = batch_of([1])
    with pytest.raises(ValueError, match="needs candidate regions"):
        network()(replace(batch, region_mask=None))
    with pytest.raises(ValueError, match="region_features, region_pixels or pixels"):
        network()(replace(batch, region_features=None))


def test_a_learned_slot_0_does_not_look_at_the_blank_image():
    model, batch = network(ungrounded="learned").eval(), batch_of([1])
    other = batch.region_features.clone()
    other[:, 0] += 5.0
    with torch.no_grad():
        before, after = model(batch), model(replace(batch, region_features=other))
    torch.testing.assert_close(before.region_logits, after.region_logits)


def test_pictures_are_read_for_their_own_regions():
    """ROI-align in the model: of a batch without any picture, slot 0 is left."""
    model = network().eval()
    batch = replace(no_candidate(batch_of([1, 0])), region_features=None)
    with torch.no_grad():
        assert model(batch).region_logits.shape == (2, 8, 1)
        pictured = replace(batch_of([1, 0]), region_features=None, pixels=torch.rand(2, 3, 96, 96))
        assert model(pictured).region_logits.isfinite().all()
