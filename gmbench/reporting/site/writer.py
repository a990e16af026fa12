"""Files of the site: pages from templates, data as scripts, pictures."""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from gmbench.core.entities import Example
from gmbench.core.errors import InputError
from gmbench.core.files import write_atomically
from gmbench.core.records import to_plain
from gmbench.data.images import open_image

HERE = Path(__file__).parent
MARK = ".gmbench-site"
"""Marks a folder as a site of ours, which the next may replace."""
SIDE = 640
"""Longest side of a picture on the site, in pixels."""
COLOURS = 128
"""Of a chart: more than it is drawn with, edges smoothed."""


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Writes below one folder; every file whole or not at all."""

    folder: Path

    def page(self, path: str, template: str, **values: Any) -> None:
        """A page from ``templates/``; everything in it is escaped."""
        environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        up = "../" * path.count("/")
        text = environment.get_template(template).render(up=up, **values)
        self._write(path, text.encode())

    def data(self, path: str, value: object) -> None:
        """A record as a script that sets ``window.gmbench``: pages from a disk may not fetch."""
        text = json.dumps(to_plain(value), ensure_ascii=False, allow_nan=False)
        # Neither the end of a script nor a line of its own may be read out of a tweet.
        for character in "<>\u2028\u2029":
            text = text.replace(character, f"\\u{ord(character):04x}")
        self._write(path, f"window.gmbench = {text};\n".encode())

    def static(self) -> None:
        """Style and scripts."""
        for file in sorted((HERE / "static").iterdir()):
            if file.is_file():
                self._write(f"static/{file.name}", file.read_bytes())

    def raw(self, path: str, content: bytes) -> None:
        """A file as it is."""
        self._write(path, content)

    def chart(self, path: str, png: bytes) -> None:
        """A drawn picture, of few colours: with a palette it takes a third of the bytes."""
        out = BytesIO()
        try:
            with Image.open(BytesIO(png)) as drawn:
                few = drawn.convert("RGB").quantize(
                    COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
                )
            few.save(out, "PNG", optimize=True)
        except (OSError, ValueError, SyntaxError):  # what Pillow raises on damaged files
            self._write(path, png)
        else:
            self._write(path, out.getvalue())

    def pictures(self, gold: Iterable[Example], folder: str) -> Mapping[str, str]:
        """Pictures of tweets, made small; by id, the path below the site. Bad ones are left out."""
        paths = {}
        for number, example in enumerate(gold):
            if example.image is None:
                continue
            path = f"{folder}/{number:05d}.jpg"
            target = self.folder / path
            try:
                picture = open_image(example.image, example.size)
            except InputError:
                continue
            picture.thumbnail((SIDE, SIDE))
            target.parent.mkdir(parents=True, exist_ok=True)
            picture.convert("RGB").save(target, quality=85)
            paths[example.id] = path
        return paths

    def prepare(self) -> None:
        """Make the folder, or empty it if an earlier site is all that it holds.

        Raises:
            InputError: there is something else in it.
        """
        if self.folder.is_dir() and any(self.folder.iterdir()):
            if not (self.folder / MARK).is_file():
                raise InputError(
                    f"{self.folder} holds files that are no site of ours; name a new or an empty "
                    "folder"
                )
            for name in ("static", "runs", "pairs", "examples"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
        self._write(MARK, b"Written by gmbench.report --html; replaced as a whole by the next.\n")

    def _write(self, path: str, content: bytes) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, content)
