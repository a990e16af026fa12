"""A canvas in unit coordinates with a patterned cloth: what the painters draw on."""

from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw, ImageFont

from gmbench.data.synthetic.looks import Colour

MASTER = 224
"""Pixels of the longer side of a finished picture."""
_OVER = 2
DARK: Colour = (34, 34, 40)
PALE: Colour = (250, 248, 240)

Point = tuple[float, float]


class Canvas:
    """A transparent picture drawn on in unit coordinates, at twice the final size."""

    def __init__(self, aspect: float, first: Colour, second: Colour, pattern: str) -> None:
        side = MASTER * _OVER
        self.size = (round(side * min(1.0, aspect)), round(side * min(1.0, 1 / aspect)))
        self.image = Image.new("RGBA", self.size, (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)
        self.first, self.second = first, second
        self._cloth = _weave(self.size, first, second, pattern)

    def at(self, points: Sequence[Point]) -> list[Point]:
        """Unit coordinates to pixels."""
        return [(x * (self.size[0] - 1), y * (self.size[1] - 1)) for x, y in points]

    def polygon(self, points: Sequence[Point], colour: Colour | None, edge: Colour = DARK) -> None:
        """A filled polygon; without a colour it is cut from the patterned cloth."""
        xy = self.at(points)
        if colour is None:
            self._cut(lambda draw: draw.polygon(xy, fill=255))
        else:
            self.draw.polygon(xy, fill=colour)
        self.draw.line([*xy, xy[0]], fill=edge, width=4, joint="curve")

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, colour: Colour | None) -> None:
        """A filled rectangle."""
        self.polygon(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), colour)

    def ellipse(
        self, x0: float, y0: float, x1: float, y1: float, colour: Colour | None, edge: Colour = DARK
    ) -> None:
        """A filled ellipse in the given box."""
        (left, top), (right, bottom) = self.at(((x0, y0), (x1, y1)))
        box = (left, top, right, bottom)
        if colour is None:
            self._cut(lambda draw: draw.ellipse(box, fill=255))
            self.draw.ellipse(box, outline=edge, width=4)
        else:
            self.draw.ellipse(box, fill=colour, outline=edge, width=4)

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
        image = self.image.reduce(_OVER)
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
    step = MASTER * _OVER // 8
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
