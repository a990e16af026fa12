import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from gmbench.core.errors import InputError, MissingRegions
from gmbench.data.regions import RegionSource
from gmbench.data.regions.jsonl import JsonLines
from gmbench.data.regions.vinvl import VinVL
from tests.data.files import MEMORY

BOXES = np.array([[1, 2, 30, 40], [-5, -5, 200, 90], [50, 60, 50, 70], [1, 2, 30, 40]], np.float32)
SIZE = (100, 80)


def npz(folder, **changes):
    arrays = {
        "bounding_boxes": BOXES,
        "num_boxes": np.int64(4),
        "scores": np.array([0.9, 0.8, 0.7, 0.6], np.float32),
        "box_features": np.arange(4 * 6, dtype=np.float32).reshape(4, 6),
        "objects": np.array(["cat"] * 4),
        **changes,
    }
    path = folder / "1.jpg.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def ask(source: RegionSource, size=SIZE):
    return source(id="1", image=None, size=size)


def test_the_first_rows_in_the_order_of_the_file_clipped(tmp_path):
    npz(tmp_path)
    found = ask(VinVL(folder=str(tmp_path), k=10))
    assert found.boxes.dtype == np.float64
    assert found.boxes.tolist() == [[1, 2, 30, 40], [0, 0, 100, 80], [1, 2, 30, 40]]
    assert found.scores.tolist() == pytest.approx([0.9, 0.8, 0.6])
    assert found.features is None
    assert len(ask(VinVL(folder=tmp_path, k=2))) == 2


def test_nothing_is_clipped_where_the_size_is_unknown(tmp_path):
    npz(tmp_path)
    assert ask(VinVL(folder=tmp_path), size=None).boxes[1].tolist() == [-5, -5, 200, 90]


def test_features_only_on_demand_and_beside_their_boxes(tmp_path):
    npz(tmp_path)
    found = ask(VinVL(folder=tmp_path, features=True))
    assert found.features.dtype == np.float32
    assert found.features[:, 0].tolist() == [0, 6, 18]


def test_optional_keys(tmp_path):
    npz(tmp_path, scores=None, box_features=None, num_boxes=None)
    assert ask(VinVL(folder=tmp_path)).scores is None
    with pytest.raises(InputError, match="no 'box_features'; it has bounding_boxes, objects"):
        ask(VinVL(folder=tmp_path, features=True))


def test_num_boxes_counts(tmp_path):
    npz(tmp_path, num_boxes=np.array([1]))
    assert len(ask(VinVL(folder=tmp_path))) == 1


def test_no_box_at_all(tmp_path):
    npz(tmp_path, bounding_boxes=np.zeros((0, 4)), num_boxes=np.int64(0), scores=np.zeros(0),
        box_features=np.zeros((0, 6)))  # fmt: skip
    assert ask(VinVL(folder=tmp_path, features=True)).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("objects", "classes"),
    [
        (np.array(["cat", "dog", "cat", "car"]), ("cat", "dog", "car")),
        (None, None),
        (np.array(["cat"]), None),
        (np.arange(4), None),
        (np.array([["cat"]] * 4, dtype=object), None),  # pickled: never loaded
    ],
)
def test_classes_where_the_file_has_a_name_for_each_box(tmp_path, objects, classes):
    npz(tmp_path, objects=objects)
    assert ask(VinVL(folder=tmp_path)).classes == classes


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"bounding_boxes": None}, ["no 'bounding_boxes'", "num_boxes"]),
        ({"bounding_boxes": np.zeros((4, 5))}, ["'bounding_boxes'", "[4, 5]", "[N, 4]"]),
        ({"bounding_boxes": np.zeros(4)}, ["'bounding_boxes'", "[4]"]),
        ({"bounding_boxes": np.array([["a"] * 4])}, ["'bounding_boxes'", "<U1"]),
        ({"bounding_boxes": np.full((4, 4), np.nan)}, ["'bounding_boxes'", "NaN"]),
        ({"bounding_boxes": np.array([[None] * 4])}, ["'bounding_boxes'", "cannot be read"]),
        ({"num_boxes": np.int64(5)}, ["'num_boxes' is 5", "4 rows"]),
        ({"num_boxes": np.int64(-1)}, ["'num_boxes' is -1"]),
        ({"num_boxes": np.array(["x"])}, ["'num_boxes'"]),
        ({"scores": np.zeros(3)}, ["'scores'", "[3]", "[4, ...]"]),
        ({"box_features": np.zeros((2, 6))}, ["'box_features'", "[2, 6]"]),
        ({"image_w": np.int64(50), "image_h": np.int64(40)}, ["50x40", "100x80"]),
        ({"image_w": np.zeros(2), "image_h": np.int64(40)}, ["'image_w'"]),
    ],
)
def test_a_wrong_npz_names_key_and_shapes(tmp_path, changes, parts):
    path = npz(tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        ask(VinVL(folder=tmp_path, features=True))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_files_that_are_no_npz(tmp_path):
    whole = npz(tmp_path).read_bytes()
    cases = [b"", b"text", whole[: len(whole) // 2], pickle.dumps({"a": 1})]
    for data in cases:
        (tmp_path / "1.jpg.npz").write_bytes(data)
        with pytest.raises(InputError, match=r"1\.jpg\.npz: "):
            ask(VinVL(folder=tmp_path))
    with (tmp_path / "1.jpg.npz").open("wb") as stream:
        np.save(stream, BOXES)
    with pytest.raises(InputError, match="not an npz"):
        ask(VinVL(folder=tmp_path))


def test_an_archive_that_unpacks_to_far_more_is_refused_unread(tmp_path):
    path = tmp_path / "1.jpg.npz"
    np.savez_compressed(path, bounding_boxes=np.zeros((5_000_000, 4), np.float32))
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match="'bounding_boxes' unpacks to more than 64 MB"):
        ask(VinVL(folder=tmp_path))


def test_a_flipped_bit_is_found(tmp_path):
    path = npz(tmp_path)
    data = bytearray(path.read_bytes())
    data[data.index(BOXES.tobytes()) + 1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="'bounding_boxes' cannot be read"):
        ask(VinVL(folder=tmp_path))


def test_missing_candidates(tmp_path):
    assert ask(VinVL(folder=tmp_path, missing="none")) is None
    with pytest.raises(MissingRegions, match=r"missing candidates; .*FMNERG.*source.missing=none"):
        ask(VinVL(folder=tmp_path))


def lines(folder, *rows):
    path = folder / "boxes.jsonl"
    path.write_text(
        "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    )
    return path


def test_json_lines(tmp_path):
    path = lines(tmp_path, {"id": 1, "boxes": BOXES.tolist(), "scores": [4, 3, 2, 1]}, "",
                 {"id": "2", "boxes": []})  # fmt: skip
    found = ask(JsonLines(path=str(path), k=3))
    assert found.boxes.tolist() == [[1, 2, 30, 40], [0, 0, 100, 80]]
    assert found.scores.tolist() == [4, 3]
    assert len(JsonLines(path=path)(id="2", image=None, size=SIZE)) == 0
    assert JsonLines(path=path, missing="none")(id="3", image=None, size=SIZE) is None
    with pytest.raises(MissingRegions, match="no line for '3'"):
        JsonLines(path=path)(id="3", image=None, size=SIZE)


@pytest.mark.parametrize(
    "row",
    [
        "{",
        "[]",
        "3",
        {"boxes": []},
        {"id": 1},
        {"id": 1, "boxes": [[1, 2, 3]]},
        {"id": 1, "boxes": [1, 2, 3, 4]},
        {"id": 1, "boxes": [[1, 2, 3, 4]], "scores": [1, 2]},
        {"id": 1, "boxes": [["a", 2, 3, 4]]},
        '{"id": 1, "boxes": [[NaN, 2, 3, 4]]}',
    ],
)
def test_a_bad_line_is_named(tmp_path, row):
    path = lines(tmp_path, {"id": 0, "boxes": []}, row)
    with pytest.raises(InputError, match=r"boxes\.jsonl:2: not a line of candidates"):
        ask(JsonLines(path=path))


def test_a_repeated_id_and_a_missing_file(tmp_path):
    path = lines(tmp_path, {"id": 1, "boxes": []}, {"id": "1", "boxes": []})
    with pytest.raises(InputError, match=r"boxes\.jsonl:2: '1' for the second time"):
        ask(JsonLines(path=path))
    with pytest.raises(InputError, match=r"cannot be read .*regions\.path"):
        ask(JsonLines(path=tmp_path / "absent.jsonl"))


def test_ten_thousand_records_stay_under_500_mb(tmp_path):
    """Candidates of 10,000 images with 36 boxes, files with features of 2048 beside them."""
    boxes = np.tile(np.array([[1, 2, 30, 40]], np.float32), (36, 1))
    npz(tmp_path, bounding_boxes=boxes, num_boxes=np.int64(36), scores=np.ones(36, np.float32),
        box_features=np.zeros((36, 2048), np.float32))  # fmt: skip
    code = f"""{MEMORY}
from gmbench.data.regions.vinvl import VinVL
source = VinVL(folder=sys.argv[1], k=36)
kept = [source(id="1", image=None, size=(100, 80)) for _ in range(10_000)]
assert used() <= 500_000, used()
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


@pytest.mark.real_data
def test_the_real_npz(shared):
    folder = shared / "data" / "real_images"
    paths = sorted((folder / "vinvl").glob("*.npz"))
    assert len(paths) == 6
    for path in paths:
        tweet = path.name.removesuffix(".jpg.npz")
        with np.load(path) as raw:
            size = (int(raw["image_w"]), int(raw["image_h"]))
            found = VinVL(folder=path.parent, k=100, features=True)(id=tweet, image=None, size=size)
            assert len(found) == int(raw["num_boxes"]) >= 10
            assert np.array_equal(found.boxes, raw["bounding_boxes"].astype(np.float64))
            assert np.array_equal(found.features, raw["box_features"])
            assert np.array_equal(found.scores, raw["scores"].astype(np.float64))
        assert len(VinVL(folder=path.parent, k=5)(id=tweet, image=None, size=size)) == 5
        with pytest.raises(InputError, match="same archive"):
            VinVL(folder=path.parent)(id=tweet, image=None, size=(256, 200))
