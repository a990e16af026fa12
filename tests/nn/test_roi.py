"""ROI-align of boxes in shares of the picture."""

import torch

from gmbench.nn.layers import roi_vectors

BOXES = torch.tensor(
    [[[0.25, 0.25, 0.75, 0.5], [0.5, 0.125, 0.875, 0.875]], [[0.125, 0.25, 0.5, 0.875]] * 2]
).double()


def test_a_ramp_gives_the_value_at_the_middle_of_the_box():
    side = 16
    ramp = torch.arange(side, dtype=torch.float64) + 0.5  # the middle of each cell
    column = (ramp / side)[None].expand(side, -1)
    found = roi_vectors(torch.stack([column, column.T])[None].expand(2, -1, -1, -1), BOXES)
    middle = (BOXES[..., :2] + BOXES[..., 2:]) / 2
    torch.testing.assert_close(found, middle, atol=1e-9, rtol=0)


def test_each_picture_is_read_for_its_own_boxes():
    maps = torch.tensor([1.0, 2.0]).double()[:, None, None, None].expand(-1, 3, 4, 6)
    assert roi_vectors(maps, BOXES).tolist() == [[[1.0] * 3] * 2, [[2.0] * 3] * 2]
    assert roi_vectors(maps, BOXES[:, :0]).shape == (2, 0, 3)
