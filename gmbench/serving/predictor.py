"""A trained model that answers: pictures and sentences in, entities with boxes out."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from gmbench.data.collate import Collate
from gmbench.data.dataset import Item
from gmbench.data.regions import RegionSource
from gmbench.engine.trainer import resolve_precision
from gmbench.serving.candidates import region_source, source_of_run
from gmbench.serving.folders import read_parts
from gmbench.serving.parts import Parts
from gmbench.serving.posts import Post, post
from gmbench.serving.reader import PostReader, Ready
from gmbench.structures import Prediction

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
            DataError: the picture cannot be read, or the sentence is too long for the model.
            ValueError: no word, or a given word does not stand in the text.
        """
        shown = Path(image) if isinstance(image, str) else image
        return list(self.answer(post(text, words=words, image=shown)).predictions)

    def answer(self, asked: Post) -> Answer:
        """The answer to one post.

        Raises:
            DataError: the picture cannot be read, or the sentence is too long for the model.
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
