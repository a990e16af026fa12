"""Injected candidates: behind the detector's, irrelevant, the same at every share and run."""

import numpy as np
import pytest

from gmbench.core.iou import pairwise_iou
from gmbench.data.regions.noisy import APART, NoisyRegions

DETECTED = np.array([[0, 0, 40, 40], [50, 50, 90, 95], [10, 60, 30, 90], [1, 1, 2, 2]], float)


@pytest.fixture
def folder(tmp_path):
    np.savez(tmp_path / "a.jpg.npz", bounding_boxes=DETECTED, num_boxes=np.array(len(DETECTED)))
    return tmp_path


def ask(folder, **settings):
    return NoisyRegions(folder=folder, **settings)(id="a", image=None, size=(100, 100)).boxes


@pytest.mark.parametrize(("share", "injected"), [(0, 0), (0.25, 1), (1, 3), (2, 6)])
def test_detections_first_then_so_many_more(share, injected, folder):
    boxes = ask(folder, k=3, share=share)
    np.testing.assert_array_equal(boxes[:3], DETECTED[:3])
    assert len(boxes) == 3 + injected


def test_injected_boxes_lie_in_the_picture_and_show_nothing_known(folder):
    boxes = ask(folder, k=3, share=10)[3:]
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= 100).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert pairwise_iou(boxes, DETECTED[:3]).max() <= APART


def test_more_noise_keeps_the_boxes_of_less_and_seeds_differ(folder):
    less, more = (ask(folder, k=3, share=share) for share in (1, 2))
    np.testing.assert_array_equal(more[: len(less)], less)
    assert not np.array_equal(ask(folder, k=3, share=1, seed=2), less)
