"""Box heads: where they may draw, what they ignore, and what pointing at a patch gives."""

import math

import pytest
import torch
from torchvision.ops import box_convert, roi_align

from gmbench.nn.box_head import CELLS, LOOKS, MARGIN, BoxRegression, SecondLook, read_under

B, N, D = 2, 6, 8


def states(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("kind", ["mlp", "attention", "patches", "refined"])
def test_boxes_lie_in_the_unit_square_and_without_image_ignore_it(kind):
    torch.manual_seed(0)
    part = BoxRegression(width=D, prefix=1, kind=kind).double()
    queries, vision = states(B, N, D) * 9, states(B, 10, D, seed=1) * 9
    mask = torch.tensor([True, False])[:, None].expand(B, 10)
    (*_, found), _ = part(queries, vision, mask)
    assert found.min() >= 0
    assert found.max() <= 1
    (*_, other), _ = part(queries, vision.flip(1), mask)
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
    (boxes,), weights = part(vision[:, 1:2], vision, torch.ones(1, 4, dtype=torch.bool))
    box = boxes[0, 0]
    assert weights[0, 0, 1] > 0.999
    # patch 1 of a 2 x 2 grid: centre (0.75, 0.25)
    assert box.tolist() == pytest.approx([0.8, 0.3, 0.3, 0.2], abs=1e-4)


def test_second_look_sees_under_its_box_and_a_margin_and_nothing_else():
    torch.manual_seed(0)
    look = SecondLook(width=D).double()
    torch.nn.init.ones_(look.step.weight)
    queries, patches = states(1, 1, D), states(1, 100, D, seed=1)  # 10 x 10
    box = torch.tensor([[[0.25, 0.25, 0.2, 0.2]]], dtype=torch.float64)  # with margin 0.10 to 0.40
    before = look(box, queries, patches)
    far, under, margin = patches.clone(), patches.clone(), patches.clone()
    far.view(1, 10, 10, D)[:, 6:, 6:] += 1
    under.view(1, 10, 10, D)[:, 2, 2] += 1
    margin.view(1, 10, 10, D)[:, 1, 1] += 1
    assert torch.equal(look(box, queries, far), before)
    assert not torch.allclose(look(box, queries, under), before)
    assert not torch.allclose(look(box, queries, margin), before)


def test_what_is_read_under_boxes_and_its_gradient_are_those_of_roi_align():
    """At boxes that reach out of the picture, too; slow reference: torchvision's own."""
    side = 7
    boxes = torch.rand(B, N, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    boxes[0, 0] = torch.tensor([1.4, 0.5, 0.3, 0.3])  # outside
    found = states(B, side**2, D).requires_grad_()
    expected = found.detach().clone().requires_grad_()
    wide = boxes * boxes.new_tensor([1, 1, MARGIN, MARGIN])
    corners = box_convert(wide, "cxcywh", "xyxy") * side
    area = expected.mT.unflatten(2, (side, side))
    cells = roi_align(area, list(corners), CELLS, sampling_ratio=1, aligned=True)
    reference = cells.flatten(2).mT.unflatten(0, (B, N))
    got = read_under(boxes, found)
    torch.testing.assert_close(got, reference)
    pull = torch.randn(got.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    (got * pull).sum().backward()
    (reference * pull).sum().backward()
    torch.testing.assert_close(found.grad, expected.grad)


def test_looks_start_without_effect_and_each_where_the_last_one_ended():
    torch.manual_seed(0)
    part = BoxRegression(width=D, prefix=0, kind="refined").double()
    queries, patches = states(B, N, D), states(B, 36, D, seed=1)
    mask = torch.ones(B, 36, dtype=torch.bool)
    plain = BoxRegression(width=D, prefix=0, kind="patches").double()
    plain.load_state_dict(part.state_dict(), strict=False)
    (first,), _ = plain(queries, patches, mask)
    for draft in part(queries, patches, mask)[0]:
        torch.testing.assert_close(draft, first)
    torch.nn.init.normal_(part.again.step.weight)
    drawn, seen = torch.logit(first), [first]
    for _ in range(LOOKS):
        drawn = drawn + part.again(drawn.sigmoid(), queries, patches)
        seen.append(drawn.sigmoid())
    torch.testing.assert_close(part(queries, patches, mask)[0], tuple(seen[:2]))  # in training
    torch.testing.assert_close(part.eval()(queries, patches, mask)[0], tuple(seen))
