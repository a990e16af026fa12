"""Where things stand in a picture, and the picture itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from gmbench.core.iou import iou
from gmbench.data.synthetic.cast import Subject
from gmbench.data.synthetic.looks import Colour, Look, paint

IntBox = tuple[int, int, int, int]

BUST = 0.47
"""Share of a person's height that a head-and-shoulders picture shows."""
CROWDED = 0.4
"""IoU that two things of one picture never reach: no candidate can cover both."""


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """One drawn instance.

    Attributes:
        box: x0, y0, x1, y1 in pixels, 0-based, the end exclusive.
        bust: a person from the chest upwards.
        mirrored, light: small variation between instances.
    """

    subject: Subject
    box: IntBox
    bust: bool
    mirrored: bool
    light: float


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture's plan: its size and its things, back to front."""

    size: tuple[int, int]
    things: tuple[Thing, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Order:
    """Wanted in a scene: ``copies`` instances of ``subject``."""

    subject: Subject
    copies: int


def draw_size(longest: tuple[int, int], rng: Random) -> tuple[int, int]:
    """A picture's width and height; the longer side lies in ``longest``."""
    long = rng.randint(*longest)
    short = round(long / rng.choice((1.0, 1.25, 4 / 3, 4 / 3, 1.5, 16 / 9)))
    return (long, short) if rng.random() < 0.6 else (short, long)


def arrange(
    orders: Sequence[Order], *, size: tuple[int, int], overlap: float, rng: Random
) -> tuple[Thing, ...]:
    """Place every instance that fits.

    Args:
        orders: what to show; earlier orders are placed first and so get the better place.
        size: width and height of the picture.
        overlap: how much of the smaller of two things the other one may share with it, 0..1;
            things that fill the frame are exempt. Whatever it is, two boxes stay below
            IoU ``CROWDED``.
        rng: the tweet's generator.

    Returns:
        The things back to front; an instance that found no place is left out.
    """
    total = sum(order.copies for order in orders)
    placed: list[Thing] = []
    for order in orders:
        scale = _draw_scale(size, total, rng)
        bust = order.subject.parent == "person" and rng.random() < 0.3
        for _ in range(order.copies):
            box = _place(order.subject, scale, bust, size, overlap, placed, rng)
            if box is not None:
                light = rng.uniform(0.84, 1.12)
                mirrored = order.subject.parent == "person" and rng.random() < 0.5
                placed.append(Thing(order.subject, box, bust, mirrored, light))
            scale *= rng.uniform(0.75, 1.1)
    return tuple(sorted(placed, key=lambda thing: -area(thing.box)))


def render(scene: Scene, palette: dict[str, Colour], clutter: float) -> Image.Image:
    """Draw a scene, RGB.

    Args:
        scene: the plan.
        palette: colour names of the world's pool.
        clutter: 0 = an even background, 1 = busy.
    """
    picture = _background(scene, clutter)
    colours = tuple(palette.items())
    for thing in scene.things:
        tile = _master(thing.subject.look, colours, thing.bust)
        x0, y0, x1, y1 = thing.box
        tile = tile.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR)
        if thing.mirrored:
            tile = tile.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        lut = [min(255, round(value * thing.light)) for value in range(256)]
        picture.paste(tile.convert("RGB").point(lut * 3), (x0, y0), tile.getchannel("A"))
    return picture


def area(box: Sequence[float]) -> float:
    """Width times height."""
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared(a: Sequence[float], b: Sequence[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def _draw_scale(size: tuple[int, int], total: int, rng: Random) -> float:
    """The longer side of a thing in pixels: mostly a quarter to three quarters of the frame."""
    kind = rng.random()
    if kind < 0.03:
        return rng.uniform(9, 18)
    if kind < 0.08 and total <= 2:
        return 1.02 * max(size)
    return min(size) * rng.uniform(0.28, 0.8) * (1.0 if total <= 3 else 0.75)


def _place(
    subject: Subject,
    scale: float,
    bust: bool,
    size: tuple[int, int],
    overlap: float,
    placed: Sequence[Thing],
    rng: Random,
) -> IntBox | None:
    """A box for one instance, made smaller until it finds room; None where it never does."""
    width, height = size
    aspect = _aspect(subject.look, bust) * rng.uniform(0.9, 1.1)
    for _ in range(7):
        w, h = scale * min(1.0, aspect), scale * min(1.0, 1 / aspect)
        fit = min(1.0, width / w, height / h)
        w, h = max(6, int(w * fit)), max(6, int(h * fit))
        for _ in range(10):
            x, y = rng.randint(0, width - w), rng.randint(0, height - h)
            box = (x, y, x + w, y + h)
            if all(_compatible(box, other.box, size, overlap) for other in placed):
                return box
        scale *= 0.8
    return None


def _compatible(a: IntBox, b: IntBox, size: tuple[int, int], overlap: float) -> bool:
    if iou(a, b) >= CROWDED:
        return False
    small, large = sorted((area(a), area(b)))
    if large >= 0.5 * size[0] * size[1]:
        return small <= 0.25 * large
    return _shared(a, b) <= overlap * small


@lru_cache(maxsize=4096)
def _aspect(look: Look, bust: bool) -> float:
    """Width over height, known before anything is drawn."""
    tile = _master(look, _GREYS, bust)
    return tile.width / tile.height


@lru_cache(maxsize=1024)
def _master(look: Look, colours: tuple[tuple[str, Colour], ...], bust: bool) -> Image.Image:
    """The look's picture; kept, since an entity is drawn again and again."""
    palette = dict(colours) if colours else {look.primary: (0, 0, 0), look.secondary: (0, 0, 0)}
    tile = paint(look, palette)
    return tile.crop((0, 0, tile.width, round(tile.height * BUST))) if bust else tile


_GREYS: tuple[tuple[str, Colour], ...] = ()


def _background(scene: Scene, clutter: float) -> Image.Image:
    """A soft gradient of two muted colours, a horizon, and clutter that is no known thing."""
    rng = np.random.default_rng(scene.seed)
    width, height = scene.size
    top, bottom = rng.integers(70, 215, size=(2, 3))
    grey = rng.uniform(0.35, 0.8)
    ramp = np.linspace(0, 1, 8)[:, None, None]
    horizon = rng.uniform(0.4, 0.8)
    if rng.random() < 0.6:
        ramp = (ramp > horizon) * 0.8 + ramp * 0.2
    coarse = top * (1 - ramp) + bottom * ramp + rng.normal(0, 4 + 12 * clutter, size=(8, 8, 3))
    coarse = grey * coarse.mean(axis=2, keepdims=True) + (1 - grey) * coarse
    picture = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize(
        scene.size, Image.Resampling.BICUBIC
    )
    draw = ImageDraw.Draw(picture)
    for _ in range(round(clutter * rng.integers(4, 26))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        w, h = rng.uniform(0.02, 0.3, size=2) * min(width, height)
        base = rng.integers(60, 225)
        colour = tuple(int(v) for v in (base + rng.integers(-28, 28, size=3)).clip(0, 255))
        kind = rng.integers(0, 3)
        if kind == 0:
            draw.line((x, y, x + w * 2, y + h - w), fill=colour, width=int(rng.integers(1, 6)))
        elif kind == 1:
            draw.rectangle((x, y, x + w, y + h), outline=colour, width=int(rng.integers(1, 4)))
        else:
            draw.polygon(((x, y), (x + w, y + h * 0.3), (x + w * 0.4, y + h)), fill=colour)
    return picture
