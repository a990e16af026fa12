"""Posts about photographs: layout, determinism, what may be named, faults of a COCO folder."""

import hashlib
import json
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from gmbench.core.errors import InputError
from gmbench.data.layout import FOLDERS
from gmbench.data.photos import coco as coco_module
from gmbench.data.photos.coco import CocoFolder
from gmbench.data.photos.posts import PhotoDials
from gmbench.data.photos.source import PhotoSource
from gmbench.data.regions.vinvl import VinVL
from gmbench.data.source import SPLITS
from gmbench.data.synthetic.cast import PARENTS
from tests.data.files import COARSE, FINE, picture
from tests.data.files import source as plain_source
from tests.data.test_synthetic_world import fingerprint

CATEGORIES = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}, {"id": 15, "name": "bench"}]
# category, box, crowd: two people, a dog, a tiny dog, a crowd of people, a bench of no kind
THINGS = [
    (1, [0, 0, 40, 60], 0),
    (1, [50, 10, 30, 60], 0),
    (18, [10, 40, 30.4, 30], 0),
    (18, [80, 60, 5, 5], 0),
    (1, [0, 0, 100, 20], 1),
    (15, [20, 20, 60, 50], 0),
]
PINNED = ("photos-265ffec3d1", "31a1a23a96574595")
NAMEABLE = {(0, 0, 40, 60), (50, 10, 80, 70), (10, 40, 40, 70)}


def folder_of(root: Path, count: int = 12) -> Path:
    images, annotations = [], []
    for number in range(count):
        name = f"{number:03d}.jpg"
        picture(root / "images" / name).write_bytes(_picture(root, number))
        images.append({"id": number, "file_name": name, "width": 100, "height": 80})
        annotations += [
            {"image_id": number, "category_id": category, "bbox": box, "iscrowd": crowd}
            for category, box, crowd in THINGS
        ]
    whole = {"info": {"a": [1, {"b": "}"}]}, "images": images, "annotations": annotations[::-1]}
    (root / "instances_all.json").write_text(json.dumps({**whole, "categories": CATEGORIES}))
    return root


def _picture(root: Path, number: int) -> bytes:
    """A sound picture that no other equals: what follows a JPEG's end is not read."""
    return (root / "images" / f"{number:03d}.jpg").read_bytes() + bytes([number])


def source(coco: Path, root: Path, *, fine: bool = False, **dials: object) -> PhotoSource:
    return PhotoSource(
        name="photos",
        root=root,
        coco=coco,
        posts=PhotoDials(**dials),
        text_dir="txt_fine" if fine else "txt",
        xml_dir="xml",
        image_dir="images",
        tag_column=1,
        types=FINE if fine else COARSE,
    )


@pytest.fixture(scope="module")
def coco(tmp_path_factory) -> Path:
    return folder_of(tmp_path_factory.mktemp("coco"))


def test_posts_are_read_under_the_strict_policies_and_name_what_may_be_named(coco, tmp_path):
    coarse, fine = (
        source(coco, tmp_path, per_photo=6),
        source(coco, tmp_path, fine=True, per_photo=6),
    )
    regions = VinVL(folder=coarse.folder / "vinvl", k=100)
    photos, shown, boxes = {}, 0, set()
    for split in SPLITS:
        one, other = (s.read(split, regions) for s in (coarse, fine))
        photos[split] = {example.id.rsplit("_", 1)[0] for example in one.examples}
        for example, same in zip(one.examples, other.examples, strict=True):
            assert len(example.candidates) == len(THINGS)
            assert [(e.start, e.end, e.type, e.boxes) for e in example.entities] == [
                (e.start, e.end, PARENTS[e.type].type, e.boxes) for e in same.entities
            ]
            shown += sum(entity.groundable for entity in example.entities)
            boxes |= {box for entity in example.entities for box in entity.boxes}
    assert shown > 20
    assert boxes == {(x0 + 1, y0 + 1, x1, y1) for x0, y0, x1, y1 in NAMEABLE}
    assert [len(photos[split]) for split in SPLITS] == [8, 1, 3]
    assert len(set.union(*photos.values())) == 12  # a photograph's posts never straddle splits


def complaints(data: PhotoSource) -> list[str]:
    """What prepare finds wrong."""
    from gmbench.prepare import prepare  # the other tests need no more than numpy, Pillow, PyYAML

    out = StringIO()
    regions = VinVL(folder=data.folder / "vinvl", k=100)
    code = prepare(data, regions, Console(file=out, width=200))
    lines = out.getvalue().splitlines()
    found = [line for line in lines if line.startswith(("bad", "missing", "error", "note"))]
    return found or [f"exit code {code}"] * (code != 0)


def test_a_reader_cannot_tell_posts_from_twitter_gmner(coco, tmp_path):
    data = source(coco, tmp_path, per_photo=6)
    assert {path.name for path in data.folder.iterdir()} == {*FOLDERS, "photos.json"}
    plain = plain_source(data.folder)
    for split in SPLITS:
        mine, theirs = (
            [(e.id, e.words, e.entities, e.image, e.size) for e in one.read(split).examples]
            for one in (data, plain)
        )
        assert mine == theirs
    assert complaints(data) == []


def test_bytes_are_those_of_every_machine_and_python(coco, tmp_path):
    """All but the pictures, which another Pillow draws otherwise here."""
    digest, folder = hashlib.sha256(), source(coco, tmp_path).folder
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.parent.name != "images":
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    assert (folder.name, digest.hexdigest()[:16]) == PINNED


def test_same_settings_same_bytes_and_a_seed_makes_others(coco, tmp_path, monkeypatch):
    first = source(coco, tmp_path / "a").folder
    monkeypatch.setattr(coco_module, "CHUNK", 7)  # items are decoded across any border
    again = source(coco, tmp_path / "b").folder
    assert first.name == again.name
    assert fingerprint(first) == fingerprint(again)
    assert source(coco, tmp_path, seed=2).folder.name != first.name


def test_a_picture_that_is_there_twice_is_taken_once(tmp_path):
    coco = folder_of(tmp_path / "coco")
    (coco / "images" / "001.jpg").write_bytes((coco / "images" / "000.jpg").read_bytes())
    built = source(coco, tmp_path).folder
    assert len(list((built / "images").iterdir())) == 2 * 11


def _lose(coco):
    (coco / "images" / "003.jpg").unlink()


def _shrink(coco):
    picture(coco / "images" / "003.jpg", size=(50, 40))


def _garble(coco):
    (coco / "images" / "003.jpg").write_bytes(b"no picture")


def _empty(coco):
    (coco / "images" / "003.jpg").write_bytes(b"")


def _halve(coco):
    file = coco / "images" / "003.jpg"
    file.write_bytes(file.read_bytes()[:2000])


def _replace(coco):
    (coco / "instances_all.json").write_text("<html>404</html>")


def _cut(coco):
    file = coco / "instances_all.json"
    file.write_text(file.read_text()[:-40])


def _edit(key, **changes):
    def harm(coco):
        file = coco / "instances_all.json"
        whole = json.loads(file.read_text())
        whole[key][0] |= changes
        file.write_text(json.dumps(whole))

    return harm


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_lose, r"1 of 12 pictures are missing \(003.jpg\)"),
        (_shrink, "the image is 50x40 but its boxes were drawn on 100x80"),
        (_garble, r"003\.jpg: not an image"),
        (_empty, r"003\.jpg: 0 bytes"),
        (_halve, r"003\.jpg: damaged image"),
        (_cut, "not an annotation file"),
        (_replace, "not an annotation file"),
        (_edit("annotations", bbox=[1, 2, float("nan"), 4]), "a bbox of image 11 is not finite"),
        (_edit("annotations", bbox=[1, 2, 3]), "an item of 'annotations' cannot be read"),
        (_edit("annotations", category_id=99), "category_id 99 is not in 'categories'"),
        (_edit("images", file_name="../x.jpg"), "leaves the folder"),
        (_edit("images", id=5), "an id for the second time"),
    ],
)
def test_what_is_missing_or_broken_is_one_line_and_nothing_is_half_written(harm, message, tmp_path):
    coco = folder_of(tmp_path / "coco")
    harm(coco)
    with pytest.raises(InputError, match=message) as raised:
        _ = source(coco, tmp_path / "out").folder
    assert len(raised.value.problems) == 1
    assert not any(path.is_dir() for path in (tmp_path / "out").glob("*"))


def test_folders_without_annotations_or_known_categories_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no such folder; set data\.coco"):
        _ = source(tmp_path / "no", tmp_path).folder
    coco = folder_of(tmp_path / "coco")
    file = coco / "instances_all.json"
    file.write_text(file.read_text().replace('"person"', '"ship"').replace('"dog"', '"crane"'))
    with pytest.raises(InputError, match=r"no category .* \(bench, crane, ship\) is in the table"):
        _ = source(coco, tmp_path).folder


@pytest.mark.real_data
def test_real_photographs_give_every_kind_of_post(shared, tmp_path):
    """Of 100 of them; reading all annotations takes no picture."""
    whole = CocoFolder(shared / "data" / "photos")
    photos = [photo for file in whole.files for photo in whole.photos(file)]
    assert len(photos) == 543
    assert sum(len(photo.instances) for photo in photos) > 4500
    coco = tmp_path / "coco"
    coco.mkdir()
    (coco / "images").symlink_to(whole.path / "images")
    val = json.loads((whole.path / "instances_val.json").read_text())
    (coco / "instances_all.json").write_text(json.dumps(val | {"images": val["images"][:100]}))
    data = source(coco, tmp_path, per_photo=2)
    examples = [example for split in SPLITS for example in data.read(split).examples]
    entities = [entity for example in examples for entity in example.entities]
    assert len(examples) == 200
    assert {entity.type for entity in entities} == set(COARSE)
    assert {"PER", "OTHER"} <= {e.type for e in entities if e.groundable} <= {"PER", "ORG", "OTHER"}
    assert any(len(entity.boxes) > 1 for entity in entities)
    assert 0.35 < sum(entity.groundable for entity in entities) / len(entities) < 0.55


@pytest.mark.slow
@pytest.mark.real_data
def test_all_photographs_take_less_than_a_minute_and_prepare_has_no_complaint(shared, tmp_path):
    data = source(shared / "data" / "photos", tmp_path)
    start = time.process_time()
    assert len(list((data.folder / "images").iterdir())) == 2 * 543
    assert time.process_time() - start < 60
    assert complaints(data) == []
