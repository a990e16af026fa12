"""Invented names: two pools that share no syllable, and the surfaces a name takes in a tweet.

Every invented word begins with one of its pool's syllables, all of them three letters long, so no
word of one pool can be a word of the other. The pool ``bench`` names the worlds that models are
compared on, the pool ``pretrain`` the one world that the tiny encoders were pretrained on.
"""

from dataclasses import dataclass
from random import Random

Words = tuple[str, ...]


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
    """One way to write a name: its words, how often, and whether it stands behind a ``#``."""

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


def name_person(pool: NamePool, first: str, root: str, rng: Random) -> tuple[Surface, ...]:
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
    bare = {"location": 0.75, "organization": 0.6, "product": 0.3, "building": 0.2}.get(
        parent, 0.15
    )
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
