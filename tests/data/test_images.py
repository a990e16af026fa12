from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gmbench.core.errors import InputError, SizeMismatch
from gmbench.data.images import image_size, open_image, open_upright
from tests.data.files import assert_cheap, picture, png_header


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("ending", ["jpg", "png", "gif"])
@pytest.mark.parametrize("read", [open_image, image_size])
def test_a_cut_file_is_an_error(tmp_path, share, ending, read):
    data = picture(tmp_path / f"whole.{ending}", (300, 200)).read_bytes()
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"cut\.jpg: (damaged image|not an image)"):
        read(cut)


def test_a_flag_that_lets_half_an_image_pass_is_refused(tmp_path, monkeypatch):
    path = picture(tmp_path / "1.jpg")
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(RuntimeError, match="LOAD_TRUNCATED_IMAGES"):
        open_image(path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "0 bytes"),
        (b"this is text", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF", "not an image"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", r"AVIF, which is not read here; convert it to JPEG"),
        (b"\0\0\0\x24ftypheic\0\0\0\0", r"HEIC, .* pip install pillow-heif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "not an image"),
    ],
)
def test_what_is_no_image(tmp_path, data, why):
    path = tmp_path / "1.jpg"
    path.write_bytes(data)
    for read in (open_image, image_size):
        with pytest.raises(InputError, match=why):
            read(path)


@pytest.mark.parametrize("ending", ["eps", "ppm", "pcx"])
def test_formats_that_no_tweet_has_are_refused(tmp_path, ending):
    """EPS would start another program; each format less is a decoder less for hostile files."""
    path = picture(tmp_path / f"1.{ending}").rename(tmp_path / "1.jpg")
    with pytest.raises(InputError, match="not an image"):
        open_image(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"1\.jpg: missing image"):
        open_image(tmp_path / "1.jpg")


@pytest.mark.parametrize(
    ("mode", "ending"),
    [
        ("RGB", "jpg"), ("L", "jpg"), ("CMYK", "jpg"), ("RGBA", "png"), ("LA", "png"),
        ("P", "png"), ("1", "png"), ("P", "gif"), ("RGB", "webp"), ("RGB", "bmp"),
        ("RGB", "mpo"), ("RGB", "tiff"),
    ],
)  # fmt: skip
def test_modes_become_rgb_whatever_the_name_says(tmp_path, mode, ending):
    path = picture(tmp_path / f"1.{ending}", mode=mode).rename(tmp_path / "1.jpg")
    assert image_size(path) == (100, 80)
    found = open_image(path, (100, 80))
    assert (found.mode, found.size) == ("RGB", (100, 80))


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    values = np.array([[0, 256, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "1.png")
    assert np.asarray(open_image(tmp_path / "1.png"))[0].tolist() == [
        [0] * 3, [1] * 3, [128] * 3, [255] * 3,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 7, 255], np.int32), [0, 7, 255]),
        (np.array([0, 257, 65535], np.int32), [0, 1, 255]),
        (np.array([0, 10_000_000, 20_000_000], np.int32), [0, 127, 255]),
        (np.array([-5, 0, 200], np.int32), [0, 0, 200]),
        (np.array([0, 0.5, 1], np.float32), [0, 127, 255]),
        (np.array([0, 7, 255], np.float32), [0, 7, 255]),
        (np.array([np.nan, np.inf, 65535], np.float32), [0, 0, 255]),
    ],
)
def test_thirty_two_bits_are_scaled_by_the_range_they_use(tmp_path, values, expected):
    Image.fromarray(values[None]).save(tmp_path / "1.tiff")
    grey = np.asarray(open_image(tmp_path / "1.tiff"))[0]
    assert grey.tolist() == [[value] * 3 for value in expected]


def test_transparency_goes_over_white(tmp_path):
    layers = Image.new("RGBA", (3, 1), (200, 0, 0, 0))
    layers.putpixel((1, 0), (200, 0, 0, 255))
    layers.putpixel((2, 0), (0, 0, 0, 128))
    layers.save(tmp_path / "1.png")
    first, second, third = np.asarray(open_image(tmp_path / "1.png"))[0].tolist()
    assert (first, second) == ([255] * 3, [200, 0, 0])
    assert all(125 <= value <= 129 for value in third)


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "1.gif", save_all=True, append_images=frames[1:])
    assert open_image(tmp_path / "1.gif").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_exif_turns_exactly_where_the_expected_size_asks(tmp_path, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    path = picture(tmp_path / "1.jpg", (100, 80), exif=exif)
    assert open_image(path).size == image_size(path) == (100, 80)
    assert open_image(path, (100, 80)).size == image_size(path, (100, 80)) == (100, 80)
    assert image_size(path, (80, 100)) == (80, 100)
    turned = open_image(path, (80, 100))
    with Image.open(path) as stored:
        upright = ImageOps.exif_transpose(stored).convert("RGB")
    assert np.array_equal(np.asarray(turned), np.asarray(upright))


def test_sizes_that_no_turn_explains(tmp_path):
    path = picture(tmp_path / "1.jpg", (100, 80))
    for expected in [(80, 100), (50, 40)]:
        for read in (open_image, image_size):
            with pytest.raises(SizeMismatch, match=r"is 100x80 but .* on \d+x\d+"):
                read(path, expected)


@pytest.mark.parametrize("side", [6_400, 12_000, 20_000, 100_000])
@pytest.mark.filterwarnings("error")
def test_more_than_forty_million_pixels_are_refused(tmp_path, side, promise):
    for read in (open_image, image_size):
        with pytest.raises(InputError, match="40 million pixels"):
            read(png_header(tmp_path / "1.png", side, side))
    promise("R9", "pictures of too many pixels refused before decoding", 1)


def test_bombs_cost_no_memory_and_no_flag_of_pillow_is_touched(tmp_path):
    for side in (12_000, 20_000):
        png_header(tmp_path / f"{side}.png", side, side)
    assert_cheap(
        "from PIL import Image, ImageFile\n"
        "flags = lambda: (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)\n"
        "asis = flags(); Image.init()\n"
        "from gmbench.data.images import open_image as read",
        tmp_path,
        finally_="assert flags() == asis",
    )


@pytest.mark.real_data
def test_the_real_pictures(shared):
    import json

    folder = shared / "data" / "real_images"
    index = json.loads((folder / "index.json").read_text())
    assert len(index) == 30
    for entry in index:
        path: Path = folder / entry["file"]
        small = (entry["small_w"], entry["small_h"])
        assert image_size(path) == small
        picture = open_image(path, small)
        assert (picture.mode, picture.size) == ("RGB", small)
        if entry["xml"] and tuple(entry["xml_size"]) != small:
            with pytest.raises(SizeMismatch):
                image_size(path, tuple(entry["xml_size"]))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_of_ones_own_is_shown_upright(orientation, tmp_path):
    upright = Image.new("RGB", (40, 20), "white")
    upright.paste("red", (0, 0, 10, 10))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    picture, turned = open_upright(tmp_path / "a.png")
    assert turned == (orientation > 1)
    assert picture.mode == "RGB"
    assert picture.tobytes() == upright.tobytes()
