"""What an entity looks like: colours, a pattern, a build; and the words a tweet has for it.

The kind of shape says the parent type (``shapes.py``); everything here says *which* entity.
"""

from dataclasses import dataclass
from random import Random

Colour = tuple[int, int, int]

BENCH_COLOURS: dict[str, Colour] = {
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
}

PRETRAIN_COLOURS: dict[str, Colour] = {
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
}

COLOURS = {"bench": BENCH_COLOURS, "pretrain": PRETRAIN_COLOURS}

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
