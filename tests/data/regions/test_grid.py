import numpy as np
import pytest

from gmbench.core.iou import pairwise_iou
from gmbench.data.regions.grid import LEVELS, Pyramid


def test_windows_cover_the_picture_from_edge_to_edge():
    found = Pyramid()(id="1", image=None, size=(300, 200)).boxes
    assert len(found) == sum(count**2 for _, count in LEVELS) == 14
    assert found[0].tolist() == [0, 0, 300, 200]
    assert found.min() == 0
    assert found[:, 2].max() == pytest.approx(300)
    assert found[:, 3].max() == pytest.approx(200)
    halves = found[-9:]
    assert np.unique(halves[:, 0]).tolist() == [0, 75, 150]
    assert (halves[:, 2] - halves[:, 0] == 150).all()


def test_every_large_enough_object_has_a_window():
    found = Pyramid()(id="1", image=None, size=(100, 100)).boxes
    for left in range(0, 51, 5):
        for top in range(0, 51, 5):
            assert pairwise_iou([left, top, left + 50, top + 50], found).max() > 0.5


def test_a_level_of_one_window_lies_in_the_middle():
    found = Pyramid(levels=[(0.5, 1)])(id="1", image=None, size=(100, 40)).boxes
    assert found.tolist() == [[25, 10, 75, 30]]


def test_without_size_there_is_none():
    assert Pyramid()(id="1", image=None, size=None) is None
