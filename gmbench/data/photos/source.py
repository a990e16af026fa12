"""Photographs and invented posts about them, built once in the layout of the real data."""

import json
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path
from random import Random

import numpy as np

from gmbench.core.errors import InputError, SizeMismatch, fault, first_ten
from gmbench.core.progress import track
from gmbench.data.images import image_size
from gmbench.data.layout import LayoutWriter, build_once, write_candidates
from gmbench.data.photos.coco import ORIGIN, CocoFolder, Photo
from gmbench.data.photos.posts import TYPES, PhotoDials, PostWriter
from gmbench.data.source import SPLITS, DataSource

GENERATOR_VERSION = 1
"""Raise it whenever the same settings would give different files."""
UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Photos:
    """Posts about the photographs of a folder in COCO's format.

    Attributes:
        coco: with ``instances_*.json`` and pictures.
        dials: settings of the posts.
    """

    coco: Path
    dials: PhotoDials

    def place(self, root: Path) -> Path:
        """``root/photos-<digest>``: of the settings, the table of types and the annotations."""
        table = Path(self.dials.types or TYPES)
        if not table.is_file():
            raise fault(table, "no such file", "set data.posts.types")
        settings = {**self.dials.settings(), "types": sha256(table.read_bytes()).hexdigest()}
        text = json.dumps([GENERATOR_VERSION, settings, self._folder.digest], sort_keys=True)
        return root / f"photos-{sha256(text.encode()).hexdigest()[:10]}"

    def ensure(self, root: Path) -> Path:
        """Return that folder, building it if it does not exist: complete, or not there.

        Raises:
            InputError: an annotation file or picture is missing or broken.
        """
        return build_once(self.place(root), self._build)

    @cached_property
    def _folder(self) -> CocoFolder:
        return CocoFolder(self.coco)

    def _build(self, folder: Path) -> None:
        files = self._folder.files
        held = [file for file in files if file.stem.startswith("instances_val")]
        is_divided = 0 < len(held) < len(files)
        categories = sorted({name for file in files for name in self._folder.categories(file)})
        writer = PostWriter(self.dials, categories)
        names: set[str] = set()
        contents: set[bytes] = set()
        layouts = {split: LayoutWriter(folder, split) for split in SPLITS}
        try:
            for file in files:
                photos = list(self._folder.index(file))
                self._check(file, photos)
                splits = self._splits(photos, None if not is_divided else file in held)
                for photo in track(
                    self._folder.photos(file),
                    f"posts about {file.stem}",
                    len(photos),
                ):
                    name = UNSAFE.sub("-", str(Path(photo.name).with_suffix("")))
                    if name in names:
                        what = f"a second photograph would be called {name!r}"
                        raise fault(file, what, "rename its file")
                    names.add(name)
                    content = _digest(photo.file)
                    if content not in contents:  # the same picture never straddles splits
                        contents.add(content)
                        split = splits[photo.name]
                        self._write(folder, layouts[split], split, name, photo, writer)
        finally:
            for layout in layouts.values():
                layout.__exit__(None, None, None)
        empty = [split for split, layout in layouts.items() if not layout.count]
        if empty:
            what = f"too few photographs: none is left for {', '.join(empty)}"
            raise fault(self.coco, what, "give more, or change data.posts.held_out and .dev")
        record = {
            "generator": GENERATOR_VERSION,
            "annotations": {"sha256": self._folder.digest, "files": [f.name for f in files]},
            "settings": self.dials.settings(),
        }
        (folder / "photos.json").write_text(json.dumps(record, indent=2) + "\n")

    def _splits(
        self, photos: list[tuple[str, Path, tuple[int, int]]], is_held: bool | None
    ) -> dict[str, str]:
        """The split of each photograph of a file, by rank of a hash."""
        seed = self.dials.seed
        names = sorted(
            (name for name, _, _ in photos),
            key=lambda name: sha256(f"{seed}/{name}".encode()).digest(),
        )
        share = self.dials.held_out if is_held is None else float(is_held)
        count = round(share * len(names))
        dev = round(self.dials.dev * count)
        return {
            name: "dev" if rank < dev else "test" if rank < count else "train"
            for rank, name in enumerate(names)
        }

    def _check(self, file: Path, photos: list[tuple[str, Path, tuple[int, int]]]) -> None:
        """Raise one error for all pictures that are missing, or for the first broken one."""
        missing = [name for name, path, _ in photos if not path.is_file()]
        if missing:
            raise fault(
                file,
                f"{len(missing):,} of {len(photos):,} pictures are missing ({first_ten(missing)})",
                f"looked for {photos[0][1].parent}; {ORIGIN}",
            )
        for _, path, size in photos:
            try:
                image_size(path, size)
            except SizeMismatch as error:
                raise InputError(
                    str(error).replace("correct <size> and the boxes in the xml", f"correct {file}")
                ) from None

    def _write(
        self,
        folder: Path,
        layout: LayoutWriter,
        split: str,
        name: str,
        photo: Photo,
        writer: PostWriter,
    ) -> None:
        """The posts of one photograph, its picture and its annotated boxes as candidates."""
        unseen = 0.0 if split == "train" else self.dials.unseen
        boxes = np.asarray([one.box for one in photo.instances], dtype=np.float32).reshape(-1, 4)
        for number in range(self.dials.per_photo):
            id_ = f"{name}_{number + 1}"
            rng = Random(f"{self.dials.seed}/{photo.name}/{number}")
            post = writer.write(photo, unseen=unseen, rng=rng)
            layout.write(id_, post.words, post.entities, photo.size)
            shutil.copyfile(photo.file, folder / "images" / f"{id_}.jpg")
            write_candidates(folder, id_, photo.size, boxes)


@dataclass(frozen=True, kw_only=True)
class PhotoSource(DataSource):
    """Invented posts about photographs, read like any data set.

    Attributes:
        coco: folder of the photographs, in COCO's format.
        posts: settings of the posts.
    """

    coco: Path
    posts: PhotoDials

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "coco", Path(self.coco))
        object.__setattr__(self, "world", Photos(self.coco, self.posts))

    @property
    def synthetic(self) -> bool:
        """No: the photographs are real, the posts alone are invented."""
        return False


def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").digest()
