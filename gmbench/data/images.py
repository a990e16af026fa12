"""Safe decoding of untrusted images: size before pixels, no bomb, no half image, no wrong turn.

No process-wide flag of Pillow is set here, and none that others set lets half an image through.
"""

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from gmbench.core.entities import Example
from gmbench.core.errors import InputError, SizeMismatch, fault, located
from gmbench.core.files import check_file

MAX_PIXELS = 40_000_000
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")  # none that runs another program
BRANDS = {b"avi": "AVIF", b"hei": "HEIC", b"hev": "HEIC", b"mif": "HEIC", b"msf": "HEIC"}
"""Beginnings of the brand in the head of a HEIF container, and what phones and sites call it."""
ORIENTATION = 0x0112  # the EXIF tag
TURNS = {  # the orientations that swap width and height, and what undoes them
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


Pictures = Callable[[Example], Image.Image]
"""Where the image of an example comes from: its file, or that with something done to it."""


def picture_of(example: Example) -> Image.Image:
    """Decode the example's image from its file."""
    assert example.image is not None
    return open_image(example.image, example.size)


def image_size(path: Path, expected_size: tuple[int, int] | None = None) -> tuple[int, int]:
    """``(width, height)`` of an image that can be decoded to its end.

    A JPEG is decoded at an eighth of its size, five times as fast: a truncated one is found too.

    Args:
        path: the file; its extension is ignored.
        expected_size: the size that its boxes were drawn on. If the EXIF orientation turns the
            image to that size, that is its size; otherwise the image is taken as stored.

    Raises:
        SizeMismatch: neither orientation has the expected size.
        InputError: missing, empty, not an image, more than 40 million pixels, or the file is
            truncated or damaged.
        RuntimeError: other code made Pillow fill truncated images with grey in this process.
    """
    _refuse_halves()
    with _opened(path) as image:
        _turn(path, image, expected_size)
        size = expected_size or image.size
        image.draft("L", (1, 1))
        image.load()
        return size


def open_image(path: Path, expected_size: tuple[int, int] | None = None) -> Image.Image:
    """Decode an image in full: first frame, 8-bit RGB, transparency over white.

    Args:
        path: the file; its extension is ignored.
        expected_size: as in :func:`image_size`.

    Raises:
        SizeMismatch: neither orientation has the expected size.
        InputError, RuntimeError: as in :func:`image_size`.
    """
    _refuse_halves()
    with _opened(path) as image:
        turn = _turn(path, image, expected_size)
        image.load()
        picture = _rgb(image)
        return picture if turn is None else picture.transpose(turn)


def open_upright(path: Path) -> tuple[Image.Image, bool]:
    """Decode a user's own image as a viewer shows it: turned by its EXIF orientation.

    Not for data sets: their boxes were drawn on one orientation, see :func:`image_size`.

    Returns:
        The image as :func:`open_image` returns it, and whether it was turned.

    Raises:
        InputError, RuntimeError: as :func:`open_image`.
    """
    _refuse_halves()
    with _opened(path) as image:
        turned = is_turned(image)
        image.load()
        if turned:
            ImageOps.exif_transpose(image, in_place=True)
        return _rgb(image), turned


def is_turned(image: Image.Image) -> bool:
    """Whether the EXIF orientation asks for a turn."""
    return image.getexif().get(ORIENTATION, 1) in range(2, 9)


def _refuse_halves() -> None:
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on: half an image would pass as a whole one; "
            "remove the line of code that sets it"
        )


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The image with its header read; every way to fail becomes one InputError."""
    large = f"more than {MAX_PIXELS // 1_000_000} million pixels"
    scale_down = "scale the image down (and its boxes with it)"
    try:
        check_file(path)
        with warnings.catch_warnings():  # Pillow only warns up to twice its own limit
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path, formats=FORMATS)
        with image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise fault(path, f"{width}x{height} is {large}", scale_down)
            yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise fault(path, "missing image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise fault(path, large, scale_down) from None
    except UnidentifiedImageError:
        raise _unidentified(path) from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise fault(path, f"damaged image ({error})", "fetch the file again") from None


def _unidentified(path: Path) -> InputError:
    """What a file that none of ``FORMATS`` describes is."""
    with path.open("rb") as stream:
        head = stream.read(12)
    if not head:
        return fault(path, "0 bytes", "fetch the file again")
    name = BRANDS.get(head[8:11]) if head[4:8] == b"ftyp" else None
    if name is None:
        return fault(path, "not an image", "fetch the file again")
    return fault(
        path,
        f"{name}, which is not read here",
        "convert it to JPEG under the same name, with its size kept: with ImageMagick, "
        "magick FILE FILE.jpg, or in Python with Pillow and pip install pillow-heif",
    )


def _turn(
    path: Path, image: Image.Image, expected: tuple[int, int] | None
) -> Image.Transpose | None:
    """The turn that EXIF asks for, if and only if it gives the image the expected size."""
    if expected is None or image.size == expected:
        return None
    turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    if turn is not None and image.size == expected[::-1]:
        return turn
    width, height = image.size
    raise SizeMismatch(
        located(
            path,
            f"the image is {width}x{height} but its boxes were drawn on "
            f"{expected[0]}x{expected[1]}",
            "get the original image, or correct <size> and the boxes in the xml",
        )
    )


def _rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB; always a copy."""
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits per pixel: Pillow would cut, not scale
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(layers, mask=layers.getchannel("A"))
        return canvas
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values as 8 bits: of 16 bits the upper 8; of 32 bits by the range they are used in.

    That range is 0..1 (floats only), 0..255 or 0..65535, whichever is the first to hold the
    largest value, or else 0 to the largest value.
    """
    if values.dtype.itemsize == 2:
        return np.asarray(values >> 8, dtype=np.uint8)
    ranges = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0)
    grey = np.nan_to_num(values.astype(np.float64), posinf=0.0)
    highest = float(np.max(grey, initial=0.0))
    white = next((most for most in ranges if highest <= most), highest)
    return np.asarray(np.clip(grey * (255.0 / white), 0, 255), dtype=np.uint8)
