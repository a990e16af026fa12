"""A trained model that answers: pictures and sentences in, entities with boxes out."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from gmbench.core.entities import Candidates, Example, Prediction
from gmbench.core.errors import InputError
from gmbench.data.dataset import Collate, GroundedDataset, Item, Tokens, tokenise
from gmbench.data.features import RegionFeatures, blank_vector, box_vectors
from gmbench.data.images import is_turned, open_image, open_upright
from gmbench.data.regions import RegionSource
from gmbench.lifecycle.build import frozen_encoder
from gmbench.serving.model_folder import Parts, pixels_of, read_parts
from gmbench.serving.posts import Post, post
from gmbench.serving.regions import region_source, source_of_run
from gmbench.training.trainer import resolve_precision

# Posts as a model reads them: picture decoded, candidates found, words in pieces.
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
            InputError: if ``strict``: the picture cannot be read, or the sentence is too long.
        """
        (tokens,) = tokenise(self._tokenizer, [asked.words])
        if len(tokens.ids) > self._reading.max_tokens:
            line = (
                f"{len(tokens.ids)} sub-words, but the model reads at most "
                f"{self._reading.max_tokens}; shorten the text"
            )
            if strict:
                raise InputError(line)
            return Ready(asked, None, None, (line,), False)
        try:
            with _shown(asked) as shown:
                return self._read(asked, tokens, shown)
        except InputError as error:
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
        except InputError as error:
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
            raise InputError(f"the picture in memory cannot be read ({error})") from None
        yield file, turned


GRID = "candidates are a fixed grid of boxes; a detector's or selective_search's fit better"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model says of one post.

    Attributes:
        post: as asked.
        predictions: best first; boxes in pixels of the picture as a viewer shows it.
        size: ``(width, height)`` of that picture; None without one.
        notes: what was odd: no picture, a bad one, no candidates, too many words.
        turned: whether the picture was turned upright by its EXIF orientation.
    """

    post: Post
    predictions: tuple[Prediction, ...]
    size: tuple[int, int] | None
    notes: tuple[str, ...]
    turned: bool = False


class Predictor:
    """A model with everything between a post and its entities.

    Attributes:
        record: what is known of the model.
        device: where it runs.
    """

    def __init__(
        self,
        *,
        parts: Parts,
        device: torch.device,
        regions: RegionSource | None = None,
        note: str | None = None,
    ) -> None:
        """Move the model to its device.

        Args:
            parts: as read.
            device: CPU or GPU.
            regions: candidates of pictures, for a model that chooses among them.
            note: said of every answer with a picture.
        """
        self.record = parts.record
        self.device = device
        self._model = parts.model.to(device).eval()
        self._decoder = parts.decoder
        self._read = PostReader(parts=parts, device=device, regions=regions, note=note)
        precision: Any = parts.record.reading.precision
        accelerator = "cpu" if device.type == "cpu" else "auto"
        self._half = resolve_precision(precision, accelerator) == "bf16-mixed"
        self._collate = Collate(
            classes={label.tag: n for n, label in enumerate(parts.record.labels, start=1)},
            pad_id=int(parts.tokenizer.pad_token_id),
            with_regions="regions" in parts.record.reading.inputs,
        )

    def predict(
        self,
        image: str | Path | Image.Image | None,
        text: str | None = None,
        *,
        words: Sequence[str] | None = None,
    ) -> list[Prediction]:
        """Entities of one sentence and its picture, best first.

        Args:
            image: a file, a picture in memory, or None: then no entity has a box.
            text: the sentence; its words are what stands between white space.
            words: the words instead.

        Raises:
            InputError: the picture cannot be read, or the sentence is too long for the model.
            ValueError: no word, or a given word does not stand in the text.
        """
        shown = Path(image) if isinstance(image, str) else image
        return list(self.answer(post(text, words=words, image=shown)).predictions)

    def answer(self, asked: Post) -> Answer:
        """The answer to one post.

        Raises:
            InputError: the picture cannot be read, or the sentence is too long for the model.
        """
        (answer,) = self._answers([self._read(asked, strict=True)])
        return answer

    def answers(self, posts: Iterable[Post], *, batch_size: int = 16) -> Iterator[Answer]:
        """Answers in the order of the posts, which are read a batch at a time.

        A picture that cannot be read marks its post with a note and counts as none.

        Args:
            posts: any number of them; no more than a batch is held.
            batch_size: posts a forward pass.
        """
        stream = iter(posts)
        while chunk := [self._read(asked) for asked in islice(stream, batch_size)]:
            yield from self._answers(chunk)

    def _answers(self, chunk: Sequence[Ready]) -> Iterator[Answer]:
        items = [ready.item for ready in chunk if ready.item is not None]
        found = iter(self._forward(items) if items else [])
        for ready in chunk:
            predictions: tuple[Prediction, ...] = () if ready.item is None else next(found)
            if ready.size is None:  # a box on no picture means nothing
                predictions = tuple(replace(p, box=None) for p in predictions)
            yield Answer(
                post=ready.post,
                predictions=predictions,
                size=ready.size,
                notes=ready.notes,
                turned=ready.turned,
            )

    @torch.inference_mode()
    def _forward(self, items: Sequence[Item]) -> list[tuple[Prediction, ...]]:
        batch = self._collate(items).to(self.device)
        half = torch.autocast(self.device.type, torch.bfloat16) if self._half else nullcontext()
        with half:
            return self._decoder(self._model(batch), batch)


def load(
    folder: str | Path,
    *,
    device: str = "auto",
    regions: str | RegionSource | None = None,
    num_regions: int | None = None,
    trust: Collection[str] = (),
) -> Predictor:
    """A trained model that answers, from an export folder or a finished run.

    Nothing is unpickled, and no code runs but gmbench's, models' and that of ``trust``.

    Args:
        folder: what ``python -m gmbench.export`` wrote, or a run folder.
        device: ``cpu``, ``cuda``, ``cuda:1`` ...; ``auto`` takes a GPU where there is one.
        regions: candidates for a model that chooses among them: ``grid``,
            ``selective_search``, ``vinvl:PATH``, ``jsonl:PATH``, or a source of one's own. By
            default the run's own if it needs nothing but the picture, otherwise the grid.
        num_regions: how many of them; as in the run's evaluation by default.
        trust: prefixes of further packages whose classes may be built.

    Raises:
        ValueError: the folder is no sound run or export, names code that nobody vouched for, or
            the source of regions cannot be used; one line says what.
    """
    parts = read_parts(Path(folder), trust)
    reading = parts.record.reading
    if num_regions is not None:
        if num_regions < 1:
            raise ValueError(f"num_regions must be at least 1, not {num_regions}")
        reading = replace(reading, num_regions=num_regions)
        parts = replace(parts, record=replace(parts.record, reading=reading))
    note = None
    if "regions" not in reading.inputs:
        if regions is not None:
            raise ValueError(f"{parts.record.model} reads pixels, no candidates: leave regions out")
    elif regions is None:
        regions = source_of_run(parts.config, reading.num_regions)
        if regions is None:
            regions, note = "grid", GRID
    if isinstance(regions, str):
        regions = region_source(regions, reading.num_regions)
    return Predictor(parts=parts, device=_device(device), regions=regions, note=note)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r}: {' '.join(str(error).split())[:160]}") from None
    return device
