"""Box heads: where they may draw, what they ignore, and what pointing at a patch gives."""

import math

import pytest
import torch

from gmbench.nn.box_head import BoxRegression

B, N, D = 2, 6, 8


def states(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("kind", ["mlp", "attention", "patches"])
def test_boxes_lie_in_the_unit_square_and_without_image_ignore_it(kind):
    torch.manual_seed(0)
    part = BoxRegression(width=D, prefix=1, kind=kind).double()
    queries, vision = states(B, N, D) * 9, states(B, 10, D, seed=1) * 9
    mask = torch.tensor([True, False])[:, None].expand(B, 10)
    found, _ = part(queries, vision, mask)
    assert found.min() >= 0
    assert found.max() <= 1
    other, _ = part(queries, vision.flip(1), mask)
    torch.testing.assert_close(found[1], other[1])
    assert torch.allclose(found[0], other[0]) == (kind == "mlp")


def test_pointing_at_one_patch_gives_its_own_box():
    """``patches``: the distances that a patch reads off itself, from its centre."""
    part = BoxRegression(width=D, prefix=0, kind="patches").double()
    with torch.no_grad():
        for linear_part in (part.pointer, part.patch):
            linear_part.weight.copy_(torch.eye(D) * 30)
            linear_part.bias.zero_()
        part.sides.weight.zero_()
        inverse = [math.log(math.expm1(x)) for x in (0.10, 0.05, 0.20, 0.15)]
        part.sides.bias.copy_(torch.tensor(inverse))
    vision = torch.eye(D, dtype=torch.float64)[None, :4]
    boxes, weights = part(vision[:, 1:2], vision, torch.ones(1, 4, dtype=torch.bool))
    box = boxes[0, 0]
    assert weights[0, 0, 1] > 0.999
    # patch 1 of a 2 x 2 grid: centre (0.75, 0.25)
    assert box.tolist() == pytest.approx([0.8, 0.3, 0.3, 0.2], abs=1e-4)
