import pytest
import torch
from torchvision.ops import box_convert, generalized_box_iou_loss

from gmbench.core.boxes import giou, patch_centres, patches_inside, to_pixels, to_unit
from gmbench.core.iou import pairwise_iou


def random_boxes(count: int, width: float, height: float) -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    corners = torch.rand(count, 2, 2, generator=g, dtype=torch.float64).sort(dim=1).values
    return (corners * torch.tensor([width, height])).flatten(1)


@pytest.mark.parametrize("size", [(640.0, 480.0), (37.0, 1201.0), (1.0, 1.0), (4096.0, 3.0)])
def test_pixels_to_model_and_back(size):
    boxes, sizes = random_boxes(500, *size), torch.tensor([size], dtype=torch.float64)
    there = to_unit(boxes, sizes)
    assert there.min() >= 0
    assert there.max() <= 1
    torch.testing.assert_close(to_pixels(there, sizes), boxes, atol=1e-6, rtol=0)


def test_the_whole_image_is_the_unit_square():
    whole = to_unit(torch.tensor([[0.0, 0.0, 300.0, 200.0]]), torch.tensor([[300.0, 200.0]]))
    assert whole.tolist() == [[0.5, 0.5, 1.0, 1.0]]


def test_clipping_keeps_boxes_inside():
    outside = torch.tensor([[0.9, 0.1, 0.6, 0.6]])
    assert to_pixels(outside, torch.tensor([[100.0, 50.0]])).tolist()[0][1:3] == [0.0, 100.0]


def test_giou_equals_torchvision():
    g = torch.Generator().manual_seed(1)
    a, b = torch.rand(2, 300, 4, generator=g, dtype=torch.float64)
    wanted = 1 - generalized_box_iou_loss(
        box_convert(a, "cxcywh", "xyxy"), box_convert(b, "cxcywh", "xyxy")
    )
    torch.testing.assert_close(giou(a, b), wanted, atol=1e-12, rtol=0)
    assert giou(a[:3, None], b[None, :2]).shape == (3, 2)


def test_equal_boxes_without_area_are_zero_not_nan():
    nothing = torch.zeros(1, 4, requires_grad=True)
    value = giou(nothing, torch.zeros(1, 4))
    value.sum().backward()
    assert value.item() == 0.0
    assert nothing.grad.isfinite().all()
    assert pairwise_iou(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0.0


def test_patches_inside_a_box():
    assert patch_centres(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    boxes = torch.tensor([[0.25, 0.5, 0.5, 1.0], [0.9, 0.1, 0.01, 0.01]])
    half, speck = patches_inside(boxes, 16)
    assert half.view(4, 4)[:, :2].all()
    assert not half.view(4, 4)[:, 2:].any()
    assert speck.nonzero().tolist() == [[3]]  # too small to hold a centre
