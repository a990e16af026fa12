"""The cast of a world: every invented entity with its names, its look and how often it is named.

Every invented word begins with one of its pool's syllables, all of them three letters long, so no
word of one pool can be a word of the other. The pool ``bench`` names the worlds that models are
compared on, the pool ``pretrain`` the one world that the tiny encoders were pretrained on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

from gmbench.data.synthetic.looks import COLOURS, Look, draw_look

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parent:
    """A parent type, one of the eight of the real data.

    Attributes:
        type: coarse type, as in the real data.
        share: of all mentions.
        shown: how much likelier than others a named thing of this type is in the picture.
        subtypes: those that are drawn, all of them subtypes of the real data.
    """

    type: str
    share: float
    shown: float
    subtypes: Words


PARENTS: dict[str, Parent] = {
    "person": Parent("PER", 0.36, 1.3, ("athlete", "musician", "politician", "actor")),
    "location": Parent("LOC", 0.14, 0.65, ("country", "city", "park")),
    "building": Parent(
        "LOC", 0.07, 1.0, ("cultural_place", "entertainment_place", "sports_facility")
    ),
    "organization": Parent("ORG", 0.2, 0.75, ("sports_team", "company", "band")),
    "product": Parent("OTHER", 0.08, 1.2, ("brand_name_products", "product_other")),
    "art": Parent("OTHER", 0.06, 1.0, ("film_and_television_works", "music", "art_other")),
    "event": Parent("OTHER", 0.05, 0.8, ("festival", "sports_event")),
    "other": Parent("OTHER", 0.04, 0.9, ("award",)),
}

ZIPF = 0.9
"""Exponent of the frequencies with which the subjects of one parent type are named."""
TRIES = 40
"""Attempts to find a free name after one patron."""
LIMIT = 10_000
"""Failed patrons over a whole cast."""


@dataclass(frozen=True, kw_only=True)
class NamePool:
    """The raw material of one pool's names.

    Attributes:
        syllables: exactly three letters each.
        endings: what may follow the last syllable.
        suffixes: by parent type, words that follow the invented word in a full name.
        institutes: second and third words of organisations known by their acronym.
        adjectives, nouns: titles of works, which are plain words.
    """

    syllables: Words
    endings: Words
    suffixes: dict[str, Words]
    institutes: tuple[Words, Words]
    adjectives: Words
    nouns: Words


@dataclass(frozen=True, slots=True)
class Surface:
    """One way to write a name: its words, its relative frequency, and whether a ``#`` precedes."""

    words: Words
    weight: float
    hashtag: bool = False


def _words(text: str) -> Words:
    return tuple(text.split())


BENCH = NamePool(
    syllables=_words(
        "bal cor dri fen gul hax jor kel lum mar nev oth pra qui ros tav ulb vel wen yor "
        "zan bre cas dun fal gor hel jas kir lor mil nor pel rud sor tim vin wyl zed ash"
    ),
    endings=("", "", "a", "o", "en", "is", "ett", "y"),
    suffixes={
        "location": ("Bay", "Valley", "Falls", "Heights", "County", "Park"),
        "building": ("Hall", "Tower", "Arena", "Museum", "Theatre", "Stadium"),
        "organization": ("Foxes", "Comets", "Herons", "Labs", "Motors", "Bank", "Press"),
        "product": ("Runner", "Phone", "One", "Zoom", "Cola", "XL"),
        "art": ("Diaries", "Returns", "Blues", "Saga"),
        "event": ("Festival", "Cup", "Open", "Marathon", "Week", "Expo"),
        "other": ("Award", "Prize", "Medal", "Trophy"),
    },
    institutes=(("Trade", "Cricket", "National"), ("Union", "Academy", "Network")),
    adjectives=_words("Silent Golden Broken Paper Hidden Winter Velvet Lonely Burning Last"),
    nouns=_words("River Garden Letters Crown Mirror Highway Island Orchard Engine Harvest"),
)

PRETRAIN = NamePool(
    syllables=_words(
        "bem cil dov fyr gam hib jun kov lis mun nad orl pim quo rek sab tol urs vam wox "
        "yal zir bok cem dag fip gys hob jit kun lev mov nix pon rab sul tug vok wim zol "
        "eld"
    ),
    endings=("", "", "e", "u", "an", "or", "ick", "i"),
    suffixes={
        "location": ("Harbour", "Hills", "Springs", "Shore", "District", "Woods"),
        "building": ("House", "Dome", "Gallery", "Palace", "Centre", "Library"),
        "organization": ("Otters", "Rockets", "Wolves", "Systems", "Airways", "Media", "Foods"),
        "product": ("Sprint", "Watch", "Mini", "Glide", "Juice", "Pro"),
        "art": ("Chronicles", "Forever", "Songs", "Legends"),
        "event": ("Carnival", "Classic", "Masters", "Rally", "Fair", "Summit"),
        "other": ("Ribbon", "Title", "Shield", "Honour"),
    },
    institutes=(("Rail", "Football", "Science"), ("League", "Office", "Group")),
    adjectives=_words("Distant Silver Crooked Glass Secret Summer Cotton Wild Frozen First"),
    nouns=_words("Mountain Kitchen Stories Throne Window Station Desert Forest Machine Storm"),
)

POOLS = {"bench": BENCH, "pretrain": PRETRAIN}


def invent(pool: NamePool, rng: Random) -> str:
    """One invented word: two syllables and an ending, capitalised."""
    word = rng.choice(pool.syllables) + rng.choice(pool.syllables) + rng.choice(pool.endings)
    return word.capitalize()


def name_person(first: str, root: str, rng: Random) -> tuple[Surface, ...]:
    """``First Root``, ``Root``, ``#FirstRoot`` and, for some, the initials."""
    surfaces = [
        Surface((first, root), 0.52),
        Surface((root,), 0.32),
        Surface((first + root,), 0.1, hashtag=True),
    ]
    if rng.random() < 0.2:
        surfaces.append(Surface((first, rng.choice("ABCDEGHJKLMPRST"), ".", root), 0.1))
    return tuple(surfaces)


def name_thing(pool: NamePool, parent: str, root: str, rng: Random) -> tuple[Surface, ...]:
    """The surfaces of anything but a person: with its suffix, bare, and as a hashtag."""
    suffix = rng.choice(pool.suffixes[parent])
    style = rng.random()
    if parent == "art" and style < 0.6:
        title = (rng.choice(pool.adjectives), rng.choice(pool.nouns), root)
        words: Words = title[: 2 if style < 0.2 else 3]
        if style < 0.4:
            words = ("The", *words)
        return (Surface(words, 0.8), Surface(("".join(words),), 0.2, hashtag=True))
    if parent == "organization" and style < 0.25:
        words = (root, rng.choice(pool.institutes[0]), rng.choice(pool.institutes[1]))
        acronym = "".join(word[0] for word in words)
        return (Surface(words, 0.4), Surface((acronym,), 0.6))
    bares = {"location": 0.75, "organization": 0.6, "product": 0.3, "building": 0.2}
    bare = bares.get(parent, 0.15)
    full: Words = (root, suffix)
    if parent == "location" and style < 0.6:
        full = (root,)
    if parent == "product" and rng.random() < 0.4:
        full = (*full, str(rng.randint(2, 9)))
    if parent == "event" and rng.random() < 0.3:
        full = (*full, str(rng.randint(2014, 2019)))
    return (
        Surface(full, 0.9 - bare),
        Surface((root,), bare),
        Surface(("".join(full),), 0.1, hashtag=True),
    )


def initials(surfaces: tuple[Surface, ...]) -> str:
    """At most two letters that stand on the drawn thing."""
    words = [word for word in surfaces[0].words if word[0].isalpha()]
    return "".join(word[0] for word in words if word != "The")[:2].upper()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Named:
    """One invented entity.

    Attributes:
        root: the invented word of its name; shared with ``namesake``, where there is one.
        held_out: never named in the training split.
        weight: how often it is named, among its parent type.
        namesake: index of the entity that it is named after, or None.
    """

    index: int
    parent: str
    subtype: str
    surfaces: tuple[Surface, ...]
    root: str
    held_out: bool
    weight: float
    namesake: int | None

    @property
    def type(self) -> str:
        """The coarse type."""
        return PARENTS[self.parent].type

    @property
    def topic(self) -> str:
        """What phrases know it by."""
        return self.parent


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Subject(Named):
    """An invented entity that is drawn in pictures."""

    look: Look


def draw_cast(
    *, pool: str, size: int, ambiguity: float, held_out: float, rng: Random
) -> tuple[Subject, ...]:
    """Invent ``size`` subjects.

    Args:
        pool: which names and colours, ``bench`` or ``pretrain``.
        size: how many, divided by the shares of the parent types (at least four of each).
        ambiguity: share of the subjects other than persons that bear the name of another one.
        held_out: share of the subjects that the training split never names. A namesake is held
            out with the subject whose name it bears, so that no name leaks.
        rng: generator of the cast.

    Raises:
        ValueError: the pool has no names left.
    """
    names = POOLS[pool]
    colours = tuple(COLOURS[pool])
    firsts = [invent(names, rng) for _ in range(max(4, size // 12))]
    taken: set[Words] = {(first,) for first in firsts}
    cast: list[Subject] = []
    exhausted = 0
    for parent, kind in PARENTS.items():
        for rank in range(max(4, round(size * kind.share))):
            named = None
            while named is None:  # a patron's names are used up: draw another, or nobody
                patron = draw_patron(cast, parent, ambiguity, rng)
                named = draw_names(names, parent, patron, firsts, taken, rng)
                exhausted += named is None
                if exhausted > LIMIT:
                    raise ValueError(
                        f"built-in world: a cast of {size} needs more names than "
                        f"the pool {pool} holds; lower cast or ambiguity"
                    )
            root, surfaces = named
            taken.update(surface.words for surface in surfaces)
            subtype = rng.choice(kind.subtypes)
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


N = TypeVar("N", bound=Named)


class Lottery(Generic[N]):
    """Draws entities of a kind, by default a parent type, by their weight."""

    def __init__(
        self, subjects: Sequence[N], kind: Callable[[N], str] = lambda n: n.parent
    ) -> None:
        self._groups: dict[str, list[N]] = {}
        for subject in subjects:
            self._groups.setdefault(kind(subject), []).append(subject)
        self._sums = {
            kind: list(accumulate(subject.weight for subject in group))
            for kind, group in self._groups.items()
        }

    def draw(self, kind: str, rng: Random) -> N:
        """One entity of ``kind``."""
        return rng.choices(self._groups[kind], cum_weights=self._sums[kind])[0]

    def has(self, kind: str) -> bool:
        """Whether there is any entity of ``kind``."""
        return kind in self._groups


def draw_patron(cast: Sequence[N], parent: str, ambiguity: float, rng: Random) -> N | None:
    """Whose name the next entity bears: a person's or, for what is no place, a place's."""
    if parent == "person" or rng.random() >= ambiguity:
        return None
    donors = [s for s in cast if s.parent == "person" or (s.parent == "location" != parent)]
    donors = [s for s in donors if s.namesake is None]
    return rng.choices(donors, weights=[s.weight for s in donors])[0]


def draw_names(
    pool: NamePool,
    kind: str,
    patron: Named | None,
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
        if kind == "person":
            surfaces = name_person(rng.choice(firsts), root, rng)
        else:
            surfaces = name_thing(pool, kind, root, rng)
        surfaces = tuple({surface.words: surface for surface in surfaces}.values())
        free = {surface.words for surface in surfaces} - ({(root,)} if patron else set())
        if free and not free & taken:
            return root, surfaces
    return None
