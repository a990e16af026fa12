"""A trained model that answers: pictures and sentences in, entities with boxes out."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

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
from gmbench.serving.model_folder import TrainedModel, read_model
from gmbench.serving.posts import Answer, Post, post
from gmbench.serving.regions import best_source, region_source, source_of_run
from gmbench.training.trainer import resolve_precision

NO_PICTURE = "no picture: no entity has a box"
NO_CANDIDATE = "no candidate region: no entity has a box"
LOSSLESS_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
"""Pillow's modes that a PNG holds without loss."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A decoded picture, a file that shows the same, and whether it was turned."""

    picture: Image.Image | None = None
    file: Path | None = None
    turned: bool = False


class Predictor:
    """A trained model with everything that leads from a post to its entities.

    Attributes:
        record: what is known of the model.
        device: where it runs.
    """

    def __init__(
        self,
        trained: TrainedModel,
        *,
        device: torch.device,
        regions: RegionSource | None = None,
        note: str | None = None,
        boxes: bool = False,
    ) -> None:
        """Move the model to its device.

        Args:
            trained: as read from its folder.
            device: CPU or GPU.
            regions: candidates of pictures, for a model that chooses among them.
            note: added to every answer about a picture.
            boxes: give boxes even where the model saw no picture in training.
        """
        self.record = trained.record
        self.device = device
        self._reading = trained.record.reading
        self._pixels = trained.record.pixels
        self._model = trained.model.to(device).eval()
        self._decoder = trained.decoder
        self._tokenizer = trained.tokenizer
        self._regions = regions
        self._note = note
        self._boxes = boxes or trained.record.saw_pixels
        accelerator = "cpu" if device.type == "cpu" else "auto"
        self._half = resolve_precision(self._reading.precision, accelerator) == "bf16-mixed"
        self._encode = None
        self._kept: dict[bytes, torch.Tensor] | None = None
        if self._reading.stored_vectors:
            self._encode = frozen_encoder(trained.vision_encoder, device)
            self._blank = blank_vector(self._encode, self._pixels).half()
        self._collate = Collate(
            classes={label.tag: n for n, label in enumerate(self.record.labels, start=1)},
            pad_id=int(trained.tokenizer.pad_token_id),
            with_regions="regions" in self._reading.inputs,
        )

    def keep_vectors(self) -> None:
        """Encode the regions of equal pictures once from now on, at the cost of memory."""
        self._kept = {}

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
            text: the sentence, which is split into words at white space.
            words: the words instead.

        Raises:
            InputError: the picture cannot be read, the sentence is too long for the model or has
                no word, or a given word does not occur in the text.
        """
        shown = Path(image) if isinstance(image, str) else image
        return list(self.answer(post(text, words=words, image=shown)).predictions)

    def answer(self, asked: Post) -> Answer:
        """The answer to one post.

        Raises:
            InputError: the picture cannot be read, or the sentence is too long for the model.
        """
        (answer,) = self._completed([self._read(asked, strict=True)])
        return answer

    def answers(self, posts: Iterable[Post], *, batch_size: int = 16) -> Iterator[Answer]:
        """Answers in the order of the posts, which are read a batch at a time.

        A picture that cannot be read adds a note to its post and counts as none. If reading the
        posts fails, the error is raised after the answers to those before it.

        Args:
            posts: any number of them; no more than a batch is held.
            batch_size: posts per forward pass.
        """
        stream = iter(posts)
        failure: Exception | None = None
        while failure is None:
            chunk: list[tuple[Answer, Item | None]] = []
            try:
                chunk += (self._read(asked) for asked in islice(stream, batch_size))
            except Exception as error:
                failure = error
            if not chunk and failure is None:
                return
            yield from self._completed(chunk)
        raise failure

    def _completed(self, chunk: Sequence[tuple[Answer, Item | None]]) -> Iterator[Answer]:
        """The answers with their predictions; no item: the model cannot read the sentence."""
        items = [item for _, item in chunk if item is not None]
        found = iter(self._forward(items) if items else [])
        for answer, item in chunk:
            predictions: tuple[Prediction, ...] = () if item is None else next(found)
            if answer.size is None or not self._boxes:  # a box on no picture means nothing
                predictions = tuple(replace(p, box=None) for p in predictions)
            yield replace(answer, predictions=predictions)

    @torch.inference_mode()
    def _forward(self, items: Sequence[Item]) -> list[tuple[Prediction, ...]]:
        batch = self._collate(items).to(self.device)
        half = torch.autocast(self.device.type, torch.bfloat16) if self._half else nullcontext()
        with half:
            return self._decoder(self._model(batch), batch)

    def _read(self, asked: Post, *, strict: bool = False) -> tuple[Answer, Item | None]:
        """A post as the model reads it, and its answer without predictions.

        A decoded picture does not outlive this call. Faults become notes unless ``strict``.
        """
        (tokens,) = tokenise(self._tokenizer, [asked.words])
        limit = self._reading.max_tokens
        try:
            if len(tokens.ids) > limit:
                raise InputError(
                    f"{len(tokens.ids)} sub-words, but the model reads at most {limit}; "
                    "shorten the text"
                )
            with _shown(asked) as shown:
                return self._prepared(asked, tokens, shown)
        except InputError as error:
            if strict:
                raise
            if len(tokens.ids) > limit:
                return Answer(post=asked, notes=self.record.limits).with_fault(str(error)), None
            answer, item = self._prepared(asked, tokens, _Shown())
            return answer.with_fault(str(error)), item

    def _prepared(self, asked: Post, tokens: Tokens, shown: _Shown) -> tuple[Answer, Item]:
        picture = shown.picture
        size = None if picture is None else picture.size
        candidates = None
        notes: tuple[str, ...] = (
            (NO_PICTURE,) if picture is None else (self._note,) if self._note else ()
        )
        notes += self.record.limits
        answer = Answer(post=asked, size=size, notes=notes, turned=shown.turned)
        for note in asked.notes:
            answer = answer.with_fault(note)
        if "regions" in self._reading.inputs and picture is not None:
            try:
                candidates = self._candidates(asked.id, shown.file, size)
            except InputError as error:
                answer = answer.with_fault(str(error))

        def decoded(_: Example) -> Image.Image:
            assert picture is not None
            return picture

        example = Example(
            id=asked.id, words=asked.words, image=shown.file, size=size, candidates=candidates
        )
        items = GroundedDataset(
            [example],
            tokens=[tokens],
            inputs=frozenset(self._reading.inputs),
            pixels=self._pixels,
            num_regions=self._reading.num_regions,
            features=self._vectors(picture, candidates),
            picture_of=decoded,
        )
        return answer, items[0]

    def _candidates(self, id_: str, file: Path | None, size: tuple[int, int] | None) -> Candidates:
        """The first candidates of a picture.

        Raises:
            InputError: there are none, or they cannot be read.
        """
        found = None if self._regions is None else self._regions(id=id_, image=file, size=size)
        if found is None or not len(found):
            raise InputError(NO_CANDIDATE)
        return found.top(self._reading.num_regions)

    def _vectors(
        self, picture: Image.Image | None, candidates: Candidates | None
    ) -> RegionFeatures | None:
        """Region vectors ``[K + 1, D]`` in half precision, as the run's cache held them."""
        if self._encode is None:
            return None
        rows = self._blank[None]
        if picture is not None and candidates is not None:
            key = b""
            if self._kept is not None:
                shown = f"{picture.size}|".encode() + picture.tobytes()
                key = sha256(shown + candidates.boxes.tobytes()).digest()
            found = (self._kept or {}).get(key)
            if found is None:
                found = box_vectors(picture, candidates.boxes, self._encode, self._pixels).half()
                if self._kept is not None:
                    self._kept[key] = found
            rows = torch.cat([rows, found])
        return RegionFeatures(
            values=rows.numpy(), offsets=np.asarray([0, len(rows)], dtype=np.int64)
        )


@contextmanager
def _shown(asked: Post) -> Iterator[_Shown]:
    """The picture of a post, and for as long as needed a file that shows it upright."""
    image = asked.image
    turned = False
    if image is None:
        yield _Shown()
        return
    if isinstance(image, Path):
        if asked.size is not None:
            picture = open_image(image, asked.size)
        else:
            picture, turned = open_upright(image)
        if not turned:
            yield _Shown(picture, image)
            return
        image = picture
    with TemporaryDirectory(prefix="gmbench-") as folder:
        file = Path(folder, "picture.png")
        try:
            turned = turned or is_turned(image)
            upright = ImageOps.exif_transpose(image)
            kept = upright if upright.mode in LOSSLESS_MODES else upright.convert("RGB")
            kept.save(file, compress_level=1)
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"the picture in memory cannot be read ({error})") from None
        yield _Shown(open_image(file), file, turned)


def load(
    folder: str | Path,
    *,
    device: str = "auto",
    regions: str | RegionSource | None = None,
    num_regions: int | None = None,
    boxes: bool = False,
    trust: Collection[str] = (),
) -> Predictor:
    """Load a trained model from an export folder or a finished run.

    Nothing is unpickled, and no code runs except that of gmbench, models and ``trust``.

    Args:
        folder: what ``python -m gmbench.export`` wrote, or a run folder.
        device: ``cpu``, ``cuda``, ``cuda:1`` ...; ``auto`` takes a GPU where there is one.
        regions: candidates for a model that chooses among them: ``grid``, ``ssd``,
            ``selective_search``, ``detector:FOLDER``, ``vinvl:PATH``, ``jsonl:PATH``, or a source
            of one's own; the kind that the run was trained on proposes with the run's settings. By
            default the run's own if it needs nothing but the picture, otherwise the first that is
            installed of ``ssd``, ``selective_search`` and ``grid``; answers say which.
        num_regions: number of candidates; by default as in the run's evaluation.
        boxes: give boxes even where the model saw no picture in training.
        trust: prefixes of further packages whose classes may be built.

    Raises:
        InputError: the folder is no sound run or export, names code that is not trusted, or
            the source of regions cannot be used.
    """
    trained = read_model(Path(folder), trust)
    reading = trained.record.reading
    place = _device(device)
    asked: dict[str, str | int] = {"device": str(place)}
    if num_regions is not None:
        asked["k"] = num_regions
        if num_regions < 1:
            raise InputError(f"num_regions must be at least 1, not {num_regions}")
        reading = replace(reading, num_regions=num_regions)
        trained = replace(trained, record=replace(trained.record, reading=reading))
    note, missing = None, ""
    if "regions" not in reading.inputs:
        if regions is not None:
            name = trained.record.model
            raise InputError(f"{name} reads pixels, no candidates: leave regions out")
    elif regions is None:
        try:
            regions = source_of_run(trained.config, **asked)
        except InputError as error:
            missing = f" (not the run's own: {error})"
        if regions is None:
            regions, note = best_source(reading.num_regions)
            note += missing
    if isinstance(regions, str):
        regions = region_source(regions, reading.num_regions, trained.config, **asked)
    return Predictor(trained, device=place, regions=regions, note=note, boxes=boxes)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r}: {' '.join(str(error).split())[:160]}") from None
    return device
