"""Posts as a model reads them: picture decoded, candidates found, words in pieces."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from gmbench.build import frozen_encoder
from gmbench.data.cache import RegionFeatures, blank_vector, box_vectors
from gmbench.data.dataset import GroundedDataset, Item
from gmbench.data.errors import DataError
from gmbench.data.images import is_turned, open_image, open_upright
from gmbench.data.regions import RegionSource
from gmbench.data.tokens import Tokens, tokenise
from gmbench.serving.parts import Parts, pixels_of
from gmbench.serving.posts import Post
from gmbench.structures import Candidates, Example

NO_PICTURE = "no picture: no entity has a box"
KEPT_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
"""Of Pillow, those that a PNG holds without loss."""

Shown = tuple[Image.Image | None, Path | None, bool]


@dataclass(frozen=True, slots=True)
class Ready:
    """A post as the model reads it.

    Attributes:
        item: None where the model cannot read the sentence.
        size: of the picture; None without one.
        notes: what was odd.
        turned: whether the picture was turned upright.
    """

    post: Post
    item: Item | None
    size: tuple[int, int] | None
    notes: tuple[str, ...]
    turned: bool


class PostReader:
    """Turns one post at a time into an item; a decoded picture does not outlive its turn."""

    def __init__(
        self, *, parts: Parts, device: torch.device, regions: RegionSource | None, note: str | None
    ) -> None:
        """Keep the parts.

        Args:
            parts: of the model.
            device: where region vectors are computed.
            regions: candidates of pictures, for a model that chooses among them.
            note: said of every post with a picture.
        """
        self._reading = parts.record.reading
        self._inputs: Any = frozenset(self._reading.inputs)
        self._tokenizer = parts.tokenizer
        self._pixels = pixels_of(parts.record)
        self._regions = regions
        self._note = note
        self._encode = None
        if self._reading.stored_vectors:
            self._encode = frozen_encoder(parts.vision_encoder, device)
            self._blank = blank_vector(self._encode, self._pixels).half()

    def __call__(self, asked: Post, *, strict: bool = False) -> Ready:
        """The post as the model reads it.

        Args:
            asked: any post.
            strict: raise what otherwise becomes a note.

        Raises:
            DataError: if ``strict``: the picture cannot be read, or the sentence is too long.
        """
        (tokens,) = tokenise(self._tokenizer, [asked.words])
        if len(tokens.ids) > self._reading.max_tokens:
            line = (
                f"{len(tokens.ids)} sub-words, but the model reads at most "
                f"{self._reading.max_tokens}; shorten the text"
            )
            if strict:
                raise DataError(line)
            return Ready(asked, None, None, (line,), False)
        try:
            with _shown(asked) as shown:
                return self._read(asked, tokens, shown)
        except DataError as error:
            if strict:
                raise
            ready = self._read(asked, tokens, (None, None, False))
            return replace(ready, notes=(str(error), *ready.notes))

    def _read(self, asked: Post, tokens: Tokens, shown: Shown) -> Ready:
        picture, file, turned = shown
        size = None if picture is None else picture.size
        candidates = None
        notes = [NO_PICTURE] if picture is None else [self._note] if self._note else []
        if "regions" in self._inputs and picture is not None:
            candidates, problems = self._candidates(asked.id, file, size)
            notes += problems

        def decoded(_: Example) -> Image.Image:
            assert picture is not None
            return picture

        items = GroundedDataset(
            [Example(id=asked.id, words=asked.words, image=file, size=size, candidates=candidates)],
            tokens=[tokens],
            inputs=self._inputs,
            pixels=self._pixels,
            num_regions=self._reading.num_regions,
            features=self._vectors(picture, candidates),
            picture_of=decoded,
        )
        return Ready(asked, items[0], size, tuple(notes), turned)

    def _candidates(
        self, id_: str, file: Path | None, size: tuple[int, int] | None
    ) -> tuple[Candidates | None, list[str]]:
        """The first candidates of a picture, or a note that says why there are none."""
        try:
            found = None if self._regions is None else self._regions(id=id_, image=file, size=size)
        except DataError as error:
            return None, [str(error)]
        if found is None or not len(found):
            return None, ["no candidate region: no entity has a box"]
        return found.top(self._reading.num_regions), []

    def _vectors(
        self, picture: Image.Image | None, candidates: Candidates | None
    ) -> RegionFeatures | None:
        """Region vectors in half precision, as the run's cache held them."""
        if self._encode is None:
            return None
        rows = self._blank[None]
        if picture is not None and candidates is not None:
            found = box_vectors(picture, candidates.boxes, self._encode, self._pixels).half()
            rows = torch.cat([rows, found])
        return RegionFeatures(values=rows.numpy(), offsets=np.asarray([0, len(rows)]))


@contextmanager
def _shown(asked: Post) -> Iterator[Shown]:
    """The decoded picture, a file that shows the same, and whether it was turned."""
    if asked.image is None:
        yield None, None, False
    elif isinstance(asked.image, Path) and asked.size is not None:
        yield open_image(asked.image, asked.size), asked.image, False
    elif isinstance(asked.image, Path):
        picture, turned = open_upright(asked.image)
        if not turned:
            yield picture, asked.image, False
            return
        with _stored(picture) as (file, _):
            yield picture, file, True
    else:
        with _stored(asked.image) as (file, turned):
            yield open_image(file), file, turned


@contextmanager
def _stored(picture: Image.Image) -> Iterator[tuple[Path, bool]]:
    """A picture in memory as an upright file for as long as it is needed, and if it was turned."""
    with TemporaryDirectory(prefix="gmbench-") as folder:
        file = Path(folder, "picture.png")
        try:
            turned = is_turned(picture)
            upright = ImageOps.exif_transpose(picture)
            kept = upright if upright.mode in KEPT_MODES else upright.convert("RGB")
            kept.save(file, compress_level=1)
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"the picture in memory cannot be read ({error})") from None
        yield file, turned
