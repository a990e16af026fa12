"""Pictures and dense targets for the vision encoder: squashed scenes and letterboxed crops."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from experiments.pretrain_tiny.recipe import Recipe
from gmbench.core.iou import iou
from gmbench.data.pixels import letterbox
from gmbench.data.synthetic.cast import PARENTS
from gmbench.data.synthetic.looks import COLOURS, PATTERNS
from gmbench.data.synthetic.scenes import IntBox, Thing, render
from gmbench.data.synthetic.tweets import Tweet
from gmbench.data.synthetic.world import World

POOL = "pretrain"
MOST = 16
"""Things a picture keeps at most."""
ABSENT = -1


@dataclass(frozen=True, eq=False)
class Pictures:
    """N pictures of S x S pixels with at most M things each.

    Attributes:
        pixels: ``[N, S, S, 3]`` bytes.
        boxes: ``[N, M, 4]`` xyxy in 0..1 of the picture.
        kinds: ``[N, M]`` index of the parent type; ``ABSENT`` in padding.
        patterns: ``[N, M]`` index of the pattern.
        colours: ``[N, M, 6]`` both colours, 0..1.
        main: ``[N]`` the thing that a crop is about; ``ABSENT`` where it is about none.
    """

    pixels: Tensor
    boxes: Tensor
    kinds: Tensor
    patterns: Tensor
    colours: Tensor
    main: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, index: Tensor) -> "Pictures":
        """Some of them."""
        return Pictures(
            self.pixels[index],
            self.boxes[index],
            self.kinds[index],
            self.patterns[index],
            self.colours[index],
            self.main[index],
        )


def draw_pictures(recipe: Recipe, steps: Iterable[int] | None = None) -> tuple[Pictures, Pictures]:
    """Scenes and crops of the disjoint world.

    Args:
        recipe: seed and sizes.
        steps: what to iterate over instead of ``range(scenes)``, so that a caller can watch.
    """
    settings = recipe.vision
    world = World(
        pool=POOL,
        seed=recipe.seed + 1,
        cast=settings.cast,
        train=settings.scenes,
        distractors=1.8,
        confusers=0.4,
        overlap=0.35,
        clutter=0.6,
    )
    tweets = world.plan("train")
    scenes = _Collector(settings.image)
    crops = _Collector(settings.crop)
    for index in steps if steps is not None else range(settings.scenes):
        tweet = tweets[index]
        rng = Random(f"{recipe.seed}/crops/{index}")
        picture = render(tweet.scene, COLOURS[POOL], world.clutter)
        side = settings.image
        squashed = picture.resize((side, side), Image.Resampling.BILINEAR)
        width, height = tweet.scene.size
        scenes.add(squashed, tweet.scene.things, (width / side, height / side), (0, 0), ABSENT)
        for box in _crop_boxes(tweet, rng):
            _add_crop(crops, picture, tweet.scene.things, box, settings.crop)
    return scenes.stack(), crops.stack()


def _crop_boxes(tweet: Tweet, rng: Random) -> list[IntBox]:
    """What a detector might propose: things a little off, and places without any thing."""
    width, height = tweet.scene.size
    boxes: list[tuple[float, ...]] = []
    for thing in tweet.scene.things[:6]:
        x0, y0, x1, y1 = thing.box
        w, h = x1 - x0, y1 - y0
        for spread in (0.06, 0.16):
            a, b, c, d = (rng.gauss(0, spread) for _ in range(4))
            boxes.append((x0 + a * w, y0 + b * h, x1 + c * w, y1 + d * h))
    for _ in range(2):
        wide, high = width * rng.uniform(0.1, 0.7), height * rng.uniform(0.1, 0.7)
        x, y = rng.uniform(0, width - wide), rng.uniform(0, height - high)
        boxes.append((x, y, x + wide, y + high))
    clipped = [
        (int(max(0, x0)), int(max(0, y0)), int(min(width, x1)), int(min(height, y1)))
        for x0, y0, x1, y1 in boxes
    ]
    return [box for box in clipped if box[2] - box[0] > 4 and box[3] - box[1] > 4]


def _add_crop(
    crops: "_Collector", picture: Image.Image, things: Sequence[Thing], box: IntBox, side: int
) -> None:
    """The letterboxed crop as the data layer cuts it."""
    x0, y0, x1, y1 = box
    scale = max(x1 - x0, y1 - y0) / side
    left = (side - max(1, round((x1 - x0) / scale))) // 2
    top = (side - max(1, round((y1 - y0) / scale))) // 2
    canvas = letterbox(picture, box, side)
    overlaps = [iou(thing.box, box) for thing in things]
    best = max(range(len(things)), key=overlaps.__getitem__, default=ABSENT)
    main = best if best != ABSENT and overlaps[best] >= 0.4 else ABSENT
    origin = (x0 - left * scale, y0 - top * scale)
    crops.add(canvas, things, (scale, scale), origin, main, inside=box)


class _Collector:
    """Gathers pictures and pads their targets."""

    def __init__(self, side: int) -> None:
        self._side = side
        self._pixels: list[NDArray[np.uint8]] = []
        self._rows: list[NDArray[np.float32]] = []
        self._main: list[int] = []

    def add(
        self,
        image: Image.Image,
        things: Sequence[Thing],
        scale: tuple[float, float],
        origin: tuple[float, float],
        main: int,
        inside: IntBox | None = None,
    ) -> None:
        """One picture; a thing's pixel ``p`` lands at ``(p - origin) / scale``."""
        row = np.zeros((MOST, 12), dtype=np.float32)
        row[:, 4] = ABSENT
        for index, thing in enumerate(things[:MOST]):
            x0, y0, x1, y1 = map(float, thing.box)
            if inside is not None:
                x0, y0 = max(x0, inside[0]), max(y0, inside[1])
                x1, y1 = min(x1, inside[2]), min(y1, inside[3])
            if x1 <= x0 or y1 <= y0:
                continue
            look = thing.subject.look
            palette = COLOURS[POOL]
            tones = [*palette[look.primary], *palette[look.secondary]]
            unit = [scale[0] * self._side, scale[1] * self._side] * 2
            shift = [*origin, *origin]
            row[index, :4] = [
                (p - o) / u for p, o, u in zip((x0, y0, x1, y1), shift, unit, strict=True)
            ]
            row[index, 4] = tuple(PARENTS).index(look.parent)
            row[index, 5] = tuple(PATTERNS).index(look.pattern)
            row[index, 6:] = [min(255.0, tone * thing.light) / 255 for tone in tones]
        self._pixels.append(np.asarray(image, dtype=np.uint8))
        self._rows.append(row)
        self._main.append(main if main < MOST else ABSENT)

    def stack(self) -> Pictures:
        """All of them."""
        rows = torch.from_numpy(np.stack(self._rows))
        return Pictures(
            torch.from_numpy(np.stack(self._pixels)),
            rows[..., :4],
            rows[..., 4].long(),
            rows[..., 5].long(),
            rows[..., 6:],
            torch.tensor(self._main),
        )
