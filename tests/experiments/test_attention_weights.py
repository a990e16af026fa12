"""From outputs to heat maps: the query that names an entity, and where it looks."""

from dataclasses import replace

import pytest
import torch

from experiments.engine.attention import entity_looks, mass_inside, points_at, speakers
from gmbench.core.tensors import Attention
from tests.tensor_builders import make_batch, make_targets, perfect_outputs


def test_the_query_that_names_the_entity_speaks():
    targets = make_targets([3, 1], seed=3)
    outputs = perfect_outputs(targets).map(lambda t: t.flip(1))  # query 7 - g answers for gold g
    found = speakers(outputs, make_batch(targets, rows=2), "sigmoid")
    assert found[0].tolist() == [7, 6, 5]
    assert found[1, 0] == 7


def test_regions_are_painted_back_where_they_lie():
    targets = make_targets([1, 0], seed=1)  # candidate i is the box (10 i, 0, 10 i + 9, 9)
    batch = make_batch(targets, rows=2)
    (look,) = entity_looks(perfect_outputs(targets), batch, "sigmoid")
    slot = int(targets.regions[0, 0].int().argmax())
    box = (10.0 * slot, 0.0, 10.0 * slot + 9, 9.0)
    assert (look.sample, look.gold, look.query) == (0, 0, 0)
    assert points_at(look.heat, [box], (200.0, 100.0))
    assert mass_inside(look.heat, [box], (200.0, 100.0)) > 0.8  # cells cut across its edges


def test_patches_come_from_the_attention_of_that_query():
    targets = make_targets([2, 1])
    weights = torch.zeros(2, 8, 4)
    weights[..., 0] = 1.0
    weights[0, 1] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    outputs = replace(
        perfect_outputs(targets), region_logits=None, attention=Attention(query_to_patch=weights)
    )
    batch = replace(
        make_batch(targets, rows=2),
        region_boxes=None,
        region_mask=None,
        image_mask=torch.tensor([True, False]),
    )
    looks = entity_looks(outputs, batch, "sigmoid")
    assert [look.gold for look in looks] == [0, 1]  # the other tweet has no picture
    assert looks[0].heat.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert looks[1].heat.tolist() == [[0.0, 0.0], [1.0, 0.0]]
    with pytest.raises(ValueError, match="attention=True"):
        entity_looks(replace(outputs, attention=None), batch, "sigmoid")
