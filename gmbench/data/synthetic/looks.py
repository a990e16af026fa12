"""What an entity looks like, and how that look is drawn.

The kind of shape says the parent type; colours, pattern and build say *which* entity it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from random import Random

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]

COLOURS: dict[str, dict[str, Colour]] = {
    "bench": {
        "red": (222, 36, 36),
        "orange": (242, 140, 26),
        "yellow": (248, 220, 50),
        "green": (36, 150, 62),
        "blue": (38, 92, 216),
        "purple": (132, 46, 176),
        "pink": (244, 134, 186),
        "brown": (124, 76, 40),
        "white": (242, 242, 242),
        "black": (28, 28, 34),
        "grey": (140, 140, 146),
        "teal": (24, 166, 166),
    },
    "pretrain": {
        "crimson": (160, 16, 66),
        "coral": (250, 104, 96),
        "lime": (160, 214, 36),
        "navy": (20, 36, 112),
        "violet": (172, 124, 236),
        "azure": (106, 192, 248),
        "mint": (146, 232, 186),
        "olive": (108, 112, 28),
        "beige": (228, 206, 160),
        "maroon": (84, 14, 22),
        "magenta": (216, 26, 154),
        "slate": (78, 96, 118),
    },
}
"""Colours by pool; the pools share none."""

PATTERNS: dict[str, str] = {
    "plain": "",
    "stripes": "striped",
    "hoops": "hooped",
    "dots": "dotted",
    "checks": "checked",
}
"""Pattern -> its adjective (none for a plain one)."""


@dataclass(frozen=True, slots=True)
class Look:
    """How one entity is drawn.

    Attributes:
        parent, subtype: choose the shape.
        primary, secondary: names of colours of the world's pool.
        pattern: a key of ``PATTERNS``.
        build: small choices of the painter (hair, roof, frame), 0..5.
        letters: at most two initials.
    """

    parent: str
    subtype: str
    primary: str
    secondary: str
    pattern: str
    build: int
    letters: str

    @property
    def adjectives(self) -> tuple[str, ...]:
        """The words that tell this look from others of its kind."""
        pattern = PATTERNS[self.pattern]
        return (self.primary, pattern) if pattern else (self.primary,)


def draw_look(
    parent: str, subtype: str, letters: str, colours: tuple[str, ...], rng: Random
) -> Look:
    """A look at random; the two colours differ."""
    primary, secondary = rng.sample(colours, 2)
    pattern = "plain" if rng.random() < 0.5 else rng.choice(tuple(PATTERNS)[1:])
    return Look(parent, subtype, primary, secondary, pattern, rng.randrange(6), letters)


MASTER = 224
"""Pixels of the longer side of a finished picture."""
OVERSAMPLING = 2
DARK: Colour = (34, 34, 40)
PALE: Colour = (250, 248, 240)
SKIN: tuple[Colour, ...] = ((246, 212, 180), (222, 172, 128), (164, 110, 72), (104, 66, 42))
HAIR: tuple[Colour, ...] = ((40, 28, 20), (98, 60, 28), (214, 176, 96), (150, 150, 150))
GLASS: Colour = (186, 216, 232)
GRASS: Colour = (96, 150, 74)
WOOD: Colour = (150, 104, 58)
GOLD: Colour = (214, 176, 64)


class Canvas:
    """A transparent picture drawn on in unit coordinates, at twice the final size."""

    def __init__(self, aspect: float, first: Colour, second: Colour, pattern: str) -> None:
        side = MASTER * OVERSAMPLING
        self.size = (round(side * min(1.0, aspect)), round(side * min(1.0, 1 / aspect)))
        self.image = Image.new("RGBA", self.size, (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)
        self.first, self.second = first, second
        self._cloth = _weave(self.size, first, second, pattern)

    def at(self, points: Sequence[Point]) -> list[Point]:
        """Unit coordinates to pixels."""
        return [(x * (self.size[0] - 1), y * (self.size[1] - 1)) for x, y in points]

    def polygon(self, points: Sequence[Point], colour: Colour | None) -> None:
        """A filled polygon; without a colour it is cut from the patterned cloth."""
        xy = self.at(points)
        if colour is None:
            self._cut(lambda draw: draw.polygon(xy, fill=255))
        else:
            self.draw.polygon(xy, fill=colour)
        self.draw.line([*xy, xy[0]], fill=DARK, width=4, joint="curve")

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, colour: Colour | None) -> None:
        """A filled rectangle."""
        self.polygon(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), colour)

    def ellipse(self, x0: float, y0: float, x1: float, y1: float, colour: Colour | None) -> None:
        """A filled ellipse in the given box."""
        (left, top), (right, bottom) = self.at(((x0, y0), (x1, y1)))
        box = (left, top, right, bottom)
        if colour is None:
            self._cut(lambda draw: draw.ellipse(box, fill=255))
            self.draw.ellipse(box, outline=DARK, width=4)
        else:
            self.draw.ellipse(box, fill=colour, outline=DARK, width=4)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A thick line; ``width`` in units of the longer side."""
        self.draw.line(
            self.at(points), fill=colour, width=max(1, round(width * max(self.size))), joint="curve"
        )

    def text(self, x: float, y: float, letters: str, height: float, colour: Colour) -> None:
        """Letters centred on a point; ``height`` in units of the longer side."""
        font = ImageFont.load_default(round(height * max(self.size)))
        ((px, py),) = self.at(((x, y),))
        self.draw.text((px, py), letters, fill=colour, font=font, anchor="mm", stroke_width=2)

    def finish(self) -> Image.Image:
        """The picture at its final size, cut to what was drawn."""
        image = self.image.reduce(OVERSAMPLING)
        box = image.getchannel("A").point(lambda a: 255 if a > 96 else 0).getbbox()
        return image.crop(box)

    def _cut(self, stencil: Callable[[ImageDraw.ImageDraw], None]) -> None:
        mask = Image.new("L", self.size, 0)
        stencil(ImageDraw.Draw(mask))
        self.image.paste(self._cloth, (0, 0), mask)


def contrast(colour: Colour) -> Colour:
    """Black or white, whichever can be read on ``colour``."""
    return DARK if 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] > 130 else PALE


def shade(colour: Colour, factor: float) -> Colour:
    """A darker (factor < 1) or lighter (> 1) tone."""
    red, green, blue = (max(0, min(255, round(channel * factor))) for channel in colour)
    return red, green, blue


def _weave(size: tuple[int, int], first: Colour, second: Colour, pattern: str) -> Image.Image:
    """A cloth of ``first`` with the pattern in ``second``."""
    cloth = Image.new("RGB", size, first)
    draw = ImageDraw.Draw(cloth)
    step = MASTER * OVERSAMPLING // 8
    width, height = size
    if pattern == "stripes":
        for x in range(step // 2, width, step):
            draw.rectangle((x, 0, x + step // 2 - 4, height), fill=second)
    elif pattern == "hoops":
        for y in range(step // 2, height, step):
            draw.rectangle((0, y, width, y + step // 2 - 4), fill=second)
    elif pattern == "dots":
        for row, y in enumerate(range(0, height, step * 2 // 3)):
            for x in range(step // 3 * (row % 2), width, step * 2 // 3):
                draw.ellipse((x, y, x + step * 2 // 5, y + step * 2 // 5), fill=second)
    elif pattern == "checks":
        half = step * 2 // 3
        for row, y in enumerate(range(0, height, half)):
            for x in range(half * (row % 2), width, half * 2):
                draw.rectangle((x, y, x + half, y + half), fill=second)
    return cloth


def paint(look: Look, palette: dict[str, Colour]) -> Image.Image:
    """Draw a look: RGBA, cropped to what was drawn, at most ``MASTER`` pixels long.

    Args:
        look: what to draw.
        palette: RGB of the colour names that the look uses.
    """
    aspect, painter = PAINTERS[look.parent]
    canvas = Canvas(aspect, palette[look.primary], palette[look.secondary], look.pattern)
    painter(canvas, look)
    return canvas.finish()


def _person(c: Canvas, look: Look) -> None:
    """Head and body; the shirt bears the pattern, the subtype shows in what is worn or held."""
    skin, hair = SKIN[look.build % 4], HAIR[(look.build * 3 + len(look.letters)) % 4]
    c.rectangle(0.3, 0.62, 0.48, 0.96, c.second)
    c.rectangle(0.52, 0.62, 0.7, 0.96, c.second)
    c.ellipse(0.22, 0.94, 0.49, 1.0, DARK)
    c.ellipse(0.51, 0.94, 0.78, 1.0, DARK)
    for side in (-1, 1):  # arms
        c.line(((0.5 + side * 0.24, 0.32), (0.5 + side * 0.38, 0.58)), DARK, 0.078)
        c.line(((0.5 + side * 0.24, 0.32), (0.5 + side * 0.38, 0.56)), c.first, 0.06)
        x = 0.5 + side * 0.38
        c.ellipse(x - 0.08, 0.55, x + 0.08, 0.62, skin)
    c.polygon(
        ((0.22, 0.28), (0.38, 0.24), (0.62, 0.24), (0.78, 0.28), (0.74, 0.66), (0.26, 0.66)), None
    )
    c.rectangle(0.43, 0.2, 0.57, 0.26, skin)
    if look.build >= 3:  # long hair behind the head
        c.ellipse(0.24, 0.0, 0.76, 0.3, hair)
    c.ellipse(0.3, 0.02, 0.7, 0.23, skin)
    c.polygon(((0.3, 0.1), (0.32, 0.03), (0.5, 0.0), (0.68, 0.03), (0.7, 0.1), (0.5, 0.055)), hair)
    c.ellipse(0.39, 0.105, 0.44, 0.125, DARK)
    c.ellipse(0.56, 0.105, 0.61, 0.125, DARK)
    c.line(((0.43, 0.17), (0.5, 0.182), (0.57, 0.17)), (150, 50, 50), 0.012)
    if look.subtype == "politician":
        c.polygon(((0.46, 0.25), (0.54, 0.25), (0.57, 0.46), (0.5, 0.52), (0.43, 0.46)), c.second)
    elif look.subtype == "athlete":
        c.text(0.5, 0.42, look.letters, 0.13, contrast(c.first))
    elif look.subtype == "musician":
        c.line(((0.46, 0.52), (0.98, 0.3)), WOOD, 0.035)
        c.ellipse(0.16, 0.46, 0.62, 0.64, WOOD)
        c.ellipse(0.34, 0.52, 0.46, 0.57, DARK)
    else:
        c.rectangle(0.35, 0.095, 0.48, 0.13, DARK)
        c.rectangle(0.52, 0.095, 0.65, 0.13, DARK)


def _building(c: Canvas, look: Look) -> None:
    """A facade with rows of windows, a door and a roof that tells the subtype."""
    if look.subtype == "cultural_place":
        c.polygon(((0.0, 0.28), (0.5, 0.02), (1.0, 0.28)), c.second)
        c.rectangle(0.04, 0.28, 0.96, 1.0, None)
        for i in range(5):
            c.rectangle(0.1 + i * 0.18, 0.32, 0.17 + i * 0.18, 0.92, PALE)
    elif look.subtype == "sports_facility":
        c.ellipse(0.0, 0.05, 1.0, 0.6, c.second)
        c.rectangle(0.0, 0.33, 1.0, 1.0, None)
        for i in range(6):
            c.rectangle(0.05 + i * 0.16, 0.44, 0.14 + i * 0.16, 0.72, GLASS)
    else:
        c.rectangle(0.3, 0.02, 0.7, 0.24, c.second)
        c.rectangle(0.04, 0.22, 0.96, 1.0, None)
        for row in range(3):
            for i in range(4):
                x, y = 0.12 + i * 0.2, 0.3 + row * 0.17
                c.rectangle(x, y, x + 0.13, y + 0.11, GLASS)
    c.rectangle(0.38, 0.78, 0.62, 1.0, shade(c.second, 0.6))
    c.text(0.5, 0.18, look.letters, 0.12, contrast(c.second))


def _location(c: Canvas, look: Look) -> None:
    """A country is a flag on its pole, a city a road sign, a park a landscape."""
    if look.subtype == "country":
        c.line(((0.04, 0.0), (0.04, 1.0)), (110, 110, 116), 0.04)
        c.polygon(
            ((0.06, 0.03), (0.5, 0.1), (0.98, 0.03), (0.98, 0.66), (0.5, 0.74), (0.06, 0.66)), None
        )
        if look.build % 2:
            c.polygon(((0.06, 0.03), (0.45, 0.36), (0.06, 0.66)), c.second)
        else:
            c.ellipse(0.38, 0.24, 0.62, 0.54, c.second)
    elif look.subtype == "city":
        c.rectangle(0.2, 0.5, 0.26, 1.0, (120, 120, 126))
        c.rectangle(0.74, 0.5, 0.8, 1.0, (120, 120, 126))
        c.rectangle(0.0, 0.0, 1.0, 0.66, None)
        c.rectangle(0.14, 0.14, 0.86, 0.52, c.second)
        c.text(0.5, 0.33, look.letters, 0.26, contrast(c.second))
    else:
        c.rectangle(0.0, 0.0, 1.0, 1.0, GLASS)
        c.ellipse(0.7, 0.06, 0.9, 0.3, (250, 214, 80))
        c.polygon(((0.0, 0.8), (0.28, 0.14), (0.6, 0.8)), None)
        c.polygon(((0.34, 0.8), (0.68, 0.34), (1.0, 0.8)), c.second)
        c.rectangle(0.0, 0.76, 1.0, 1.0, GRASS)


def _organization(c: Canvas, look: Look) -> None:
    """A round badge with a ring and initials."""
    c.ellipse(0.0, 0.0, 1.0, 1.0, c.second)
    c.ellipse(0.1, 0.1, 0.9, 0.9, None)
    if look.subtype == "sports_team":
        c.polygon(((0.28, 0.24), (0.72, 0.24), (0.72, 0.56), (0.5, 0.82), (0.28, 0.56)), c.second)
    elif look.subtype == "band":
        c.polygon(((0.5, 0.16), (0.84, 0.5), (0.5, 0.84), (0.16, 0.5)), c.second)
    else:
        c.ellipse(0.24, 0.24, 0.76, 0.76, c.second)
    c.text(0.5, 0.48, look.letters, 0.3, contrast(c.second))


def _product(c: Canvas, look: Look) -> None:
    """A branded shoe, or a gadget's box with its lid."""
    if look.subtype == "brand_name_products":
        c.polygon(
            (
                (0.02, 0.04),
                (0.3, 0.0),
                (0.4, 0.28),
                (0.72, 0.44),
                (0.96, 0.58),
                (1.0, 0.8),
                (0.02, 0.8),
            ),
            None,
        )
        c.polygon(((0.0, 0.78), (1.0, 0.78), (0.96, 1.0), (0.03, 1.0)), PALE)
        c.line(((0.12, 0.62), (0.36, 0.66), (0.66, 0.46)), c.second, 0.07)
        for i in range(3):
            c.line(
                ((0.36 + i * 0.1, 0.42 + i * 0.05), (0.46 + i * 0.1, 0.3 + i * 0.06)), PALE, 0.025
            )
    else:
        c.polygon(((0.0, 0.25), (0.22, 0.0), (1.0, 0.0), (0.8, 0.25)), shade(c.first, 1.25))
        c.polygon(((0.8, 0.25), (1.0, 0.0), (1.0, 0.75), (0.8, 1.0)), shade(c.first, 0.65))
        c.rectangle(0.0, 0.25, 0.8, 1.0, None)
        c.rectangle(0.16, 0.42, 0.64, 0.84, c.second)
        c.text(0.4, 0.63, look.letters, 0.22, contrast(c.second))


def _art(c: Canvas, look: Look) -> None:
    """A framed picture, a film poster with perforations, or a record half out of its sleeve."""
    if look.subtype == "music":
        c.ellipse(0.34, 0.06, 1.0, 0.94, DARK)
        c.ellipse(0.6, 0.4, 0.76, 0.6, c.second)
        c.rectangle(0.0, 0.0, 0.66, 1.0, None)
        c.text(0.33, 0.5, look.letters, 0.26, contrast(c.first))
        return
    frame = GOLD if look.subtype == "art_other" else DARK
    c.rectangle(0.06, 0.0, 0.94, 1.0, frame)
    c.rectangle(0.2, 0.1, 0.8, 0.9, None)
    c.ellipse(0.32, 0.18, 0.68, 0.5, c.second)
    c.polygon(((0.22, 0.88), (0.5, 0.46), (0.78, 0.88)), c.second)
    if look.subtype == "film_and_television_works":
        for i in range(8):
            for x in (0.09, 0.84):
                c.rectangle(x, 0.03 + i * 0.123, x + 0.07, 0.09 + i * 0.123, PALE)


def _event(c: Canvas, look: Look) -> None:
    """A stage with curtains and a banner."""
    c.rectangle(0.04, 0.14, 0.96, 0.84, (60, 50, 74))
    c.polygon(((0.5, 0.2), (0.62, 0.84), (0.38, 0.84)), (250, 240, 170))
    c.polygon(((0.0, 0.1), (0.32, 0.1), (0.2, 0.5), (0.24, 0.86), (0.0, 0.86)), None)
    c.polygon(((1.0, 0.1), (0.68, 0.1), (0.8, 0.5), (0.76, 0.86), (1.0, 0.86)), None)
    c.rectangle(0.0, 0.84, 1.0, 1.0, WOOD)
    c.rectangle(0.0, 0.0, 1.0, 0.2, c.second)
    c.text(0.5, 0.1, look.letters if look.build % 2 else "LIVE", 0.14, contrast(c.second))


def _other(c: Canvas, look: Look) -> None:
    """A trophy cup, or a star-shaped medal on its ribbon."""
    if look.build % 2:
        c.ellipse(0.0, 0.1, 1.0, 0.42, c.second)
        c.ellipse(0.12, 0.15, 0.88, 0.37, PALE)
        c.polygon(((0.18, 0.0), (0.82, 0.0), (0.74, 0.42), (0.5, 0.6), (0.26, 0.42)), None)
        c.rectangle(0.44, 0.56, 0.56, 0.82, c.second)
        c.rectangle(0.24, 0.8, 0.76, 1.0, shade(c.second, 0.6))
        return
    c.polygon(((0.2, 0.0), (0.42, 0.0), (0.6, 0.44), (0.4, 0.44)), c.second)
    c.polygon(((0.8, 0.0), (0.58, 0.0), (0.4, 0.44), (0.6, 0.44)), shade(c.second, 0.75))
    star = []
    for i in range(14):
        radius = 0.5 if i % 2 == 0 else 0.32
        angle = i * pi / 7
        star.append((0.5 + radius * sin(angle), 0.66 - 0.68 * radius * cos(angle)))
    c.polygon(star, None)
    c.text(0.5, 0.66, look.letters, 0.18, contrast(c.first))


PAINTERS: dict[str, tuple[float, Callable[[Canvas, Look], None]]] = {
    "person": (0.46, _person),
    "location": (1.3, _location),
    "building": (0.9, _building),
    "organization": (1.0, _organization),
    "product": (1.35, _product),
    "art": (0.85, _art),
    "event": (1.25, _event),
    "other": (0.72, _other),
}
"""Parent type -> width over height, and the painter."""
