"""Files of the site: pages from templates, data as scripts, pictures."""

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from gmbench.core.entities import Example
from gmbench.core.errors import InputError
from gmbench.core.files import sweep, write_atomically
from gmbench.core.records import to_plain
from gmbench.data.images import open_image

HERE = Path(__file__).parent
MARK = ".gmbench-site"
"""Lists the files of a site, which alone the next one replaces."""
HEAD = "Files that gmbench.report --html wrote; the next site removes these and no others."
SIDE = 640
"""Longest side of a picture on the site, in pixels."""


@cache
def _environment() -> Environment:
    """The templates: read and compiled once, not for every page."""
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Writes below one folder; every file whole or not at all."""

    folder: Path

    def page(self, path: str, template: str, **values: Any) -> None:
        """A page from ``templates/``; everything in it is escaped."""
        up = "../" * path.count("/")
        text = _environment().get_template(template).render(up=up, **values)
        self._write(path, text.encode())

    def data(self, path: str, value: object) -> None:
        """A record as a script that sets ``window.gmbench``: pages from a disk may not fetch."""
        text = json.dumps(to_plain(value), ensure_ascii=False, allow_nan=False)
        # Neither the end of a script nor a line of its own may be read out of an example.
        for character in "<>\u2028\u2029":
            text = text.replace(character, f"\\u{ord(character):04x}")
        self._write(path, f"window.gmbench = {text};\n".encode())

    def static(self) -> None:
        """Style and scripts."""
        for file in sorted((HERE / "static").iterdir()):
            if file.is_file():
                self._write(f"static/{file.name}", file.read_bytes())

    def image(self, path: str, png: bytes) -> bool:
        """A picture as it is.

        Returns:
            Whether it is one: anything else is left out.
        """
        try:
            with Image.open(BytesIO(png), formats=["PNG"]) as drawn:
                drawn.verify()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return False
        self._write(path, png)
        return True

    def pictures(self, gold: Iterable[Example], folder: str) -> Mapping[str, str]:
        """Pictures of examples, made small: by id, the path below the site. Bad ones are absent."""
        paths = {}
        for number, example in enumerate(gold):
            if example.image is None:
                continue
            path = f"{folder}/{number:05d}.jpg"
            try:
                picture = open_image(example.image, example.size)
            except InputError:
                continue
            picture.thumbnail((SIDE, SIDE))
            picture.convert("RGB").save(self._target(path), quality=85)
            paths[example.id] = path
        return paths

    def prepare(self) -> None:
        """Make the folder, or remove the files of an earlier site that its manifest lists.

        Raises:
            InputError: there is something else in it, and no site.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        manifest = self.folder / MARK
        if not manifest.is_file() and any(self.folder.iterdir()):
            raise InputError(
                f"{self.folder} holds files that are no site of ours; name a new or an empty folder"
            )
        for path in sorted(self._listed()):
            file = self.folder / path
            if ".." in file.parts or Path(path).is_absolute() or not self._inside(file):
                continue
            file.unlink(missing_ok=True)
            sweep(file.parent, file.name)  # what a killed writer left of it
            for parent in list(file.relative_to(self.folder).parents)[:-1]:
                with contextlib.suppress(OSError):  # it holds something else, or is gone
                    (self.folder / parent).rmdir()
        manifest.write_text(f"{HEAD}\n", encoding="utf-8")

    def _listed(self) -> set[str]:
        """Files of the site, as its manifest lists them; a line that a kill cut short is none."""
        try:
            head, *paths = (self.folder / MARK).read_text(encoding="utf-8").split("\n")[:-1]
        except (ValueError, OSError):
            return set()
        return set(paths) if head == HEAD else set()

    def _inside(self, file: Path) -> bool:
        return file.parent.resolve().is_relative_to(self.folder.resolve())

    def _target(self, path: str) -> Path:
        """The place of a file, listed in the manifest before it is there.

        Raises:
            InputError: a file of somebody else's is in its place.
        """
        target = self.folder / path
        if not self._inside(target) or target.is_symlink() or target.exists():
            raise InputError(f"{target} is no file of this site; move it or name another folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with (self.folder / MARK).open("a", encoding="utf-8") as manifest:
            manifest.write(f"{path}\n")
        return target

    def _write(self, path: str, content: bytes) -> None:
        write_atomically(self._target(path), content)
