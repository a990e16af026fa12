"""The cast of a world: every invented entity with its names, its look and how often it is named."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from gmbench.data.synthetic.looks import COLOURS, Look, draw_look
from gmbench.data.synthetic.names import (
    POOLS,
    NamePool,
    Surface,
    Words,
    initials,
    invent,
    name_person,
    name_thing,
)

TYPES: dict[str, str] = {
    "person": "PER",
    "location": "LOC",
    "building": "LOC",
    "organization": "ORG",
    "product": "OTHER",
    "art": "OTHER",
    "event": "OTHER",
    "other": "OTHER",
}
"""Parent type -> coarse type, as in the real data."""

SUBTYPES: dict[str, tuple[str, ...]] = {
    "person": ("athlete", "musician", "politician", "actor"),
    "location": ("country", "city", "park"),
    "building": ("cultural_place", "entertainment_place", "sports_facility"),
    "organization": ("sports_team", "company", "band"),
    "product": ("brand_name_products", "product_other"),
    "art": ("film_and_television_works", "music", "art_other"),
    "event": ("festival", "sports_event"),
    "other": ("award",),
}
"""Parent type -> the subtypes that are drawn; all are subtypes of the real data."""

SHARES: dict[str, float] = {
    "person": 0.36,
    "location": 0.14,
    "building": 0.07,
    "organization": 0.2,
    "product": 0.08,
    "art": 0.06,
    "event": 0.05,
    "other": 0.04,
}
"""How the mentions divide over the parent types."""

ZIPF = 0.9
TRIES = 40
"""Attempts to find a free name after one patron."""
LIMIT = 10_000
"""Attempts over a whole cast."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One invented entity.

    Attributes:
        root: the invented word of its name; shared with ``namesake``, where there is one.
        held_out: never named in the training split.
        weight: how often it is named, among its parent type.
        namesake: index of the subject that it is named after, or None.
    """

    index: int
    parent: str
    subtype: str
    surfaces: tuple[Surface, ...]
    look: Look
    root: str
    held_out: bool
    weight: float
    namesake: int | None

    @property
    def type(self) -> str:
        """The coarse type."""
        return TYPES[self.parent]


def draw_cast(
    *, pool: str, size: int, ambiguity: float, held_out: float, rng: Random
) -> tuple[Subject, ...]:
    """Invent ``size`` subjects.

    Args:
        pool: which names and colours, ``bench`` or ``pretrain``.
        size: how many, divided over the parent types by ``SHARES`` (at least four of each).
        ambiguity: share of the subjects other than persons that bear the name of another one.
        held_out: share of the subjects that the training split never names. A namesake is held
            out with the subject whose name it bears, so that no name leaks.
        rng: the world's generator.

    Raises:
        ValueError: the pool has no names left.
    """
    names = POOLS[pool]
    colours = tuple(COLOURS[pool])
    firsts = [invent(names, rng) for _ in range(max(4, size // 12))]
    taken: set[Words] = {(first,) for first in firsts}
    cast: list[Subject] = []
    exhausted = 0
    for parent in TYPES:
        count = max(4, round(size * SHARES[parent]))
        for rank in range(count):
            patron = _draw_patron(cast, parent, ambiguity, rng)
            named = _draw_names(names, parent, patron, firsts, taken, rng)
            while named is None:  # that patron's names are used up: draw another, or nobody
                patron = _draw_patron(cast, parent, ambiguity, rng)
                named = _draw_names(names, parent, patron, firsts, taken, rng)
                exhausted += 1
                if exhausted > LIMIT:
                    raise ValueError(
                        f"built-in world: a cast of {size} needs more names than "
                        f"the pool {pool} holds; lower cast or ambiguity"
                    )
            root, surfaces = named
            taken.update(surface.words for surface in surfaces)
            subtype = rng.choice(SUBTYPES[parent])
            cast.append(
                Subject(
                    index=len(cast),
                    parent=parent,
                    subtype=subtype,
                    surfaces=surfaces,
                    look=draw_look(parent, subtype, initials(surfaces), colours, rng),
                    root=root,
                    held_out=patron.held_out if patron else rng.random() < held_out,
                    weight=(rank + 3) ** -ZIPF,
                    namesake=patron.index if patron else None,
                )
            )
    return tuple(cast)


class Lottery:
    """Draws subjects of a parent type by their weight."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self._groups: dict[str, list[Subject]] = {}
        for subject in subjects:
            self._groups.setdefault(subject.parent, []).append(subject)
        self._sums = {
            parent: list(accumulate(subject.weight for subject in group))
            for parent, group in self._groups.items()
        }
        self.parents = tuple(self._groups)

    def draw(self, parent: str, rng: Random) -> Subject:
        """One subject of ``parent``."""
        return rng.choices(self._groups[parent], cum_weights=self._sums[parent])[0]

    def has(self, parent: str) -> bool:
        """Whether there is any subject of ``parent``."""
        return parent in self._groups


def _draw_patron(
    cast: Sequence[Subject], parent: str, ambiguity: float, rng: Random
) -> Subject | None:
    """Whose name the next subject bears: a person's or, for what is no place, a place's."""
    if parent == "person" or rng.random() >= ambiguity:
        return None
    donors = [s for s in cast if s.parent == "person" or (s.parent == "location" != parent)]
    donors = [s for s in donors if s.namesake is None]
    return rng.choices(donors, weights=[s.weight for s in donors])[0]


def _draw_names(
    pool: NamePool,
    parent: str,
    patron: Subject | None,
    firsts: Sequence[str],
    taken: set[Words],
    rng: Random,
) -> tuple[str, tuple[Surface, ...]] | None:
    """A root and surfaces that nobody bears yet, but for the bare root of a namesake.

    None where a patron's name is used up: it has only so many suffixes. An invented root is
    tried until it is free, as the pool holds tens of thousands.
    """
    for _ in range(TRIES if patron else 100_000):
        root = patron.root if patron else invent(pool, rng)
        if parent == "person":
            surfaces = name_person(pool, rng.choice(firsts), root, rng)
        else:
            surfaces = name_thing(pool, parent, root, rng)
        surfaces = tuple({surface.words: surface for surface in surfaces}.values())
        free = {surface.words for surface in surfaces} - ({(root,)} if patron else set())
        if free and not free & taken:
            return root, surfaces
    return None
