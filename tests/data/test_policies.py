"""Bad input under each policy: one error, or left out and counted (RELIABILITY.md R6)."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gmbench.core.errors import InputError
from gmbench.data.regions.grid import Pyramid
from tests.data.files import dataset, picture, source, thing, voc


def bad_images(root: Path) -> Path:
    """The bad and the odd files of RELIABILITY.md R6."""
    names = ["truncated", "empty", "text", "missing", "turned", "cmyk", "deep", "moving"]
    dataset(root, dict.fromkeys(names, "Ada/B-PER"), {"turned": voc(thing("Ada"))}, images=[])
    images = root / "images"
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down: no turn by 90 degrees explains the size
    whole = picture(images / "truncated.jpg").read_bytes()
    (images / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (images / "empty.jpg").write_bytes(b"")
    (images / "text.jpg").write_text("<html>404</html>")
    picture(images / "turned.jpg", (80, 100), exif=exif)
    picture(images / "cmyk.jpg", mode="CMYK")
    Image.fromarray(np.full((80, 100), 40_000, np.uint16)).save(images / "deep.png")
    (images / "deep.png").rename(images / "deep.jpg")
    picture(images / "moving.gif", save_all=True, append_images=[Image.new("RGB", (100, 80))])
    (images / "moving.gif").rename(images / "moving.jpg")
    return root


def test_five_bad_images_are_masked_and_counted_three_odd_ones_accepted(tmp_path, promise):
    data = source(bad_images(tmp_path), missing_image="blank", bad_input="mask")
    split = data.read("train")
    seen = {e.id for e in split.examples if e.image is not None}
    assert seen == {"cmyk", "deep", "moving"}
    report = split.report
    assert (report.missing_images, report.masked_images, report.size_mismatches) == (1, 4, 1)
    reasons = {Path(line.split(":")[0]).stem: line for line in report.problems}
    assert "damaged" in reasons["truncated"]
    assert "0 bytes" in reasons["empty"]
    assert "not an image" in reasons["text"]
    assert "80x100 but its boxes were drawn on 100x80" in reasons["turned"]
    assert split.examples[4].size == (100, 80)
    promise("R6", "bad and odd files classified with the right reason", 8)


def test_bad_images_are_one_error_by_default(tmp_path):
    data = source(bad_images(tmp_path), missing_image="blank")
    with pytest.raises(InputError) as caught:
        data.read("train")
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "images" / "truncated.jpg"))
    assert "and 3 more" in message
    assert "data.bad_input=mask" in message
    assert "\n" not in message


def test_an_image_that_exif_turns_to_the_xml_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    root = dataset(tmp_path, {"1": "Ada/B-PER"}, {"1": voc(thing("Ada"))}, images=["1"])
    picture(root / "images" / "1.jpg", (80, 100), exif=exif)
    assert source(root).read("train").examples[0].size == (100, 80)


BAD_XML = {
    "empty": "",
    "cut": voc(thing("Ada"))[:50],
    "dtd": "<!DOCTYPE a []>" + voc(thing("Ada")),
    "nobox": voc("<object><name>Ada</name></object>"),
    "turned": voc(thing("Ada", (50, 1, 10, 9))),
    "outside": voc(thing("Ada", (1, 1, 101, 9))),
    "words": voc(thing("Ada", ("one", 1, 10, 9))),
    "absent": voc(thing("Eve")),
    "twice": voc(thing("Ada", (1, 1, 5, 5)) * 2),
}


@pytest.mark.parametrize("case", BAD_XML)
def test_bad_xml_is_an_error_or_is_dropped_and_counted(tmp_path, case, promise):
    root = dataset(tmp_path, {"1": "Ada/B-PER", "2": "x"}, {"1": BAD_XML[case]})
    with pytest.raises(InputError, match=r"1\.xml.*data\.bad_input=mask"):
        source(root).read("train")
    split = source(root, bad_input="mask").read("train")
    files = case in {"empty", "cut", "dtd"}
    assert split.report.dropped_files == files
    assert split.report.dropped_objects == (not files)
    assert len(split.report.problems) == 1
    assert len(split.examples[0].entities[0].boxes) == (case == "twice")
    promise("R6", "bad and odd files classified with the right reason", 1)


def test_without_a_size_in_the_xml_the_image_tells_what_is_outside(tmp_path):
    xml = voc(thing("Ada", (1, 1, 101, 9)), size=None)
    root = dataset(tmp_path, {"1": "Ada/B-PER", "2": "x"}, {"1": xml})
    with pytest.raises(InputError, match="leaves the image of 100x80"):
        source(root).read("train")


def test_reading_writes_nothing(tmp_path):
    root = bad_images(tmp_path)

    def listing():
        return sorted((str(p), p.stat().st_mtime_ns) for p in root.rglob("*"))

    before = listing()
    data = source(root, missing_image="blank", bad_input="mask")
    data.read("train", Pyramid())
    data.fingerprint()
    with pytest.raises(InputError):
        source(root).read("train")
    assert listing() == before
