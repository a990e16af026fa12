"""Small data sets on disk, sound or broken in one chosen way."""

import struct
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

from gmbench.data.source import DataSource

COARSE = {"PER": "person", "LOC": "location", "ORG": "organization", "OTHER": "other"}
FINE = {
    name: name
    for name in (
        "person", "location", "building", "organization", "product", "art", "event", "other",
    )
}  # fmt: skip


def voc(objects: str = "", size: tuple[int, int] | None = (100, 80)) -> str:
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return f"<annotation>{sides}{objects}</annotation>"


def thing(name: str, box: Sequence[object] = (10, 10, 50, 40)) -> str:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    inner = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
    return f"<object><name>{escape(name)}</name><bndbox>{inner}</bndbox></object>"


def picture(path: Path, size: tuple[int, int] = (100, 80), mode: str = "RGB", **options: object):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    noise.convert(mode).save(path, **options)
    return path


def png_header(path: Path, width: int, height: int) -> Path:
    """A PNG that claims a size and has no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) 
        + chunk(b"IEND", b"")
    )  # fmt: skip
    return path


def block(tweet: str, sentence: str) -> str:
    """``Ada/B-PER sings`` -> a block; words without a tag are O."""
    words = (word.rsplit("/", 1) if "/" in word else (word, "O") for word in sentence.split())
    return f"IMGID:{tweet}\n" + "".join(f"{word}\t{tag}\n" for word, tag in words) + "\n"


def dataset(
    root: Path,
    sentences: Mapping[str, str] | None = None,
    xmls: Mapping[str, str] | None = None,
    images: Sequence[str] = ("1", "2"),
) -> Path:
    """A data set whose splits have the same sentences, dev as ``d<id>`` and test as ``t<id>``.

    Args:
        root: where to write.
        sentences: of train, by id.
        xmls: by id.
        images: ids that get a sound picture of 100x80.
    """
    sentences = sentences or {"1": "RT Ada/B-PER Byron/I-PER sings", "2": "nothing here"}
    xmls = {"1": voc(thing("Ada Byron"))} if xmls is None else xmls
    for folder in ("txt", "xml", "images"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for split, prefix in (("train", ""), ("dev", "d"), ("test", "t")):
        text = "".join(block(prefix + tweet, words) for tweet, words in sentences.items())
        (root / "txt" / f"{split}.txt").write_text(text, encoding="utf-8")
        for tweet in images:
            picture(root / "images" / f"{prefix}{tweet}.jpg")
    for tweet, text in xmls.items():
        (root / "xml" / f"{tweet}.xml").write_text(text, encoding="utf-8")
    return root


def source(root: Path, **changes: object) -> DataSource:
    settings: dict[str, object] = {
        "name": "small",
        "root": str(root),
        "text_dir": "txt",
        "xml_dir": "xml",
        "image_dir": "images",
        "tag_column": 1,
        "types": COARSE,
    }
    return DataSource(**{**settings, **changes})  # type: ignore[arg-type]


def real(shared: Path, **changes: object) -> DataSource:
    """The real annotations, read without a single image."""
    root = shared / "data" / "twitter_gmner"
    return source(root, **{"name": "twitter_gmner", "missing_image": "blank", **changes})


MEMORY = """
import sys
from pathlib import Path

def used() -> int:  # kB; not ru_maxrss, which a child takes over from the process that started it
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def assert_cheap(imports: str, folder: Path, finally_: str = "") -> None:
    """``read``, which ``imports`` brings, refuses every file of a folder within 20 MB."""
    code = f"""{MEMORY}
{imports}
before = used()
for path in Path(sys.argv[1]).iterdir():
    try:
        read(path)
    except ValueError:
        continue
    raise SystemExit(path)
assert used() - before < 20_000, used() - before
{finally_}
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(folder)], check=True)
