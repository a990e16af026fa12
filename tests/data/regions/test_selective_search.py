import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gmbench.core.errors import InputError
from gmbench.core.iou import pairwise_iou
from gmbench.data.regions.selective_search import APART, LEAST_SIDE, SelectiveSearch

OBJECTS = ((20, 30, 90, 120), (120, 40, 190, 130))


@pytest.fixture
def picture(tmp_path):
    image = Image.new("RGB", (220, 160), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle(OBJECTS[0], fill="red")
    draw.ellipse(OBJECTS[1], fill="blue")
    image.save(tmp_path / "a.png")
    return tmp_path / "a.png"


def boxes(source, picture, size=(220, 160)):
    return source(id="a", image=picture, size=size).boxes


@pytest.fixture
def opencv():
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed (extra regions)")
    if not hasattr(cv2, "ximgproc"):
        pytest.skip("this OpenCV has no contributed modules (extra regions)")


@pytest.mark.usefixtures("opencv")
def test_what_stands_out_is_found_largest_first_and_the_same_again(picture):
    found = boxes(SelectiveSearch(), picture)
    for thing in OBJECTS:
        assert pairwise_iou(thing, found).max() > 0.8
    area = (found[:, 2:] - found[:, :2]).prod(axis=1)
    assert (np.diff(area) <= 0).all()
    assert (found[:, 2:] - found[:, :2]).min() >= LEAST_SIDE
    alike = pairwise_iou(found, found) - np.eye(len(found))
    assert alike.max() < APART
    assert boxes(SelectiveSearch(), picture).tolist() == found.tolist()
    assert boxes(SelectiveSearch(k=1), picture).tolist() == found[:1].tolist()


@pytest.mark.usefixtures("opencv")
def test_a_large_picture_is_searched_small_and_answered_large(picture, tmp_path):
    with Image.open(picture) as image:
        image.resize((880, 640)).save(tmp_path / "large.png")
    found = boxes(SelectiveSearch(max_side=220), tmp_path / "large.png", (880, 640))
    for thing in OBJECTS:
        assert pairwise_iou([4 * side for side in thing], found).max() > 0.8


@pytest.mark.usefixtures("opencv")
def test_what_was_found_is_kept_by_the_pictures_content(picture, tmp_path, monkeypatch):
    source = SelectiveSearch(cache=tmp_path / "cache")
    found = boxes(source, picture)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    monkeypatch.setattr("gmbench.data.regions.selective_search._proposals", None)  # not asked again
    assert boxes(source, picture).tolist() == found.tolist()
    assert boxes(SelectiveSearch(k=1, cache=tmp_path / "cache"), picture).tolist() == [
        found[0].tolist()
    ]
    Image.new("RGB", (220, 160)).save(picture)
    with pytest.raises(TypeError):
        boxes(source, picture)


@pytest.mark.usefixtures("opencv")
def test_a_picture_of_nothing_has_no_candidate(tmp_path):
    Image.new("RGB", (60, 60), "grey").save(tmp_path / "a.png")
    assert boxes(SelectiveSearch(), tmp_path / "a.png", (60, 60)).shape == (0, 4)


def test_without_opencv_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r"pip install 'gmbench\[regions\]'") as error:
        SelectiveSearch()
    assert "\n" not in str(error.value)
