import numpy as np
import pytest

from experiments.engine.attention import (
    area_inside,
    hottest,
    mass_inside,
    patch_heat,
    pointing,
    points_at,
    region_heat,
)

SIZE = (200.0, 100.0)


def test_patches_keep_their_places():
    heat = patch_heat(np.array([0.1, 0.6, 0.2, 0.1]))
    assert heat.tolist() == [[0.1, 0.6], [0.2, 0.1]]
    assert hottest(heat) == (0.75, 0.25)
    with pytest.raises(ValueError, match="no square"):
        patch_heat(np.ones(5))


def test_mass_is_exact_to_parts_of_a_cell():
    heat = patch_heat(np.array([0.1, 0.6, 0.2, 0.1]))
    # the left half of the hot cell and as much of the cold one below it
    box = (100.0, 25.0, 150.0, 75.0)
    assert mass_inside(heat, [box], SIZE) == pytest.approx(0.6 / 4 + 0.1 / 4)
    assert mass_inside(heat, [(0.0, 0.0, 200.0, 100.0)], SIZE) == pytest.approx(1.0)
    assert mass_inside(heat * 0.5, [box], SIZE) == pytest.approx(0.175)


def test_overlapping_boxes_count_once():
    heat = np.ones((4, 4)) / 16
    boxes = [(0.0, 0.0, 100.0, 100.0), (50.0, 0.0, 150.0, 100.0)]
    assert mass_inside(heat, boxes, SIZE) == pytest.approx(0.75)
    assert area_inside(boxes, SIZE) == pytest.approx(0.75)


def test_regions_are_painted_with_their_mass():
    boxes = np.array([[0.0, 0.0, 50.0, 50.0], [100.0, 0.0, 200.0, 100.0], [9.0, 9.0, 9.0, 9.0]])
    heat = region_heat(np.array([0.3, 0.5, 0.2]), boxes, SIZE)
    assert heat.sum() == pytest.approx(0.8)  # a box without area holds nothing
    assert mass_inside(heat, [(0.0, 0.0, 50.0, 50.0)], SIZE) == pytest.approx(0.3 / 0.8)
    assert mass_inside(heat, [(150.0, 0.0, 200.0, 100.0)], SIZE) == pytest.approx(0.25 / 0.8)
    with pytest.raises(ValueError, match="2 weights for 3 boxes"):
        region_heat(np.ones(2), boxes, SIZE)


def test_painting_is_exact_off_the_grid():
    box = (33.3, 11.1, 77.7, 66.6)
    heat = region_heat(np.array([0.4]), np.array([box]), SIZE, cells=7)
    assert heat.sum() == pytest.approx(0.4)
    outside = region_heat(np.array([0.4]), np.array([(-50.0, 0.0, 50.0, 100.0)]), SIZE)
    assert mass_inside(outside, [(0.0, 0.0, 50.0, 100.0)], SIZE) == pytest.approx(1.0)


def test_pointing_game():
    heat = region_heat(np.array([0.9]), np.array([[20.0, 20.0, 60.0, 60.0]]), SIZE)
    x, y = hottest(heat)
    assert (x * 200, y * 100) == pytest.approx((40, 40), abs=2.0)
    assert points_at(heat, [(30.0, 30.0, 50.0, 50.0)], SIZE)
    assert not points_at(heat, [(100.0, 0.0, 200.0, 100.0)], SIZE)
    assert not points_at(np.zeros((3, 3)), [(0.0, 0.0, 200.0, 100.0)], SIZE)


def test_many_maps():
    left, right = [(0.0, 0.0, 100.0, 100.0)], [(100.0, 0.0, 200.0, 100.0)]
    heat = patch_heat(np.array([0.7, 0.1, 0.1, 0.1]))
    found = pointing([(heat, left, SIZE), (heat, right, SIZE), (heat, left, SIZE)])
    assert (found.maps, found.hits) == (3, 2)
    assert found.hit_rate == pytest.approx(2 / 3)
    assert found.mass == pytest.approx((0.8 + 0.2 + 0.8) / 3)
    assert found.area == pytest.approx(0.5)
    assert pointing([]).hit_rate == 0.0
    with pytest.raises(ValueError, match="gold boxes"):
        pointing([(heat, (), SIZE)])
