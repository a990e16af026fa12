"""What a post says about a photograph: who is named, which boxes show them, in which words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import yaml

from gmbench.core.errors import InputError, fault, first_line
from gmbench.data.layout import Annotated
from gmbench.data.photos.coco import Instance, Photo
from gmbench.data.synthetic.cast import (
    PARENTS,
    POOLS,
    ZIPF,
    Lottery,
    Named,
    Words,
    draw_names,
    draw_patron,
    invent,
)
from gmbench.data.synthetic.dials import PostDials
from gmbench.data.synthetic.phrases import WORLD, Phrases, by_topic, by_topics
from gmbench.data.synthetic.sentences import Cue, write_sentence
from gmbench.data.synthetic.tweets import count_mentions

TYPES = Path(__file__).with_name("types.yaml")
ABSENT = {"person": 0.3, "location": 0.28, "building": 0.1, "organization": 0.2, "event": 0.05}
"""Shares of what is named and not in the picture; the rest are things of absent categories."""
THINGS = 0.07
GROUP = "group"
EVERY = 3
"""Of each kind, every third name is kept for dev and test."""


@dataclass(frozen=True, kw_only=True)
class PhotoDials(PostDials):
    """Settings of the posts about photographs.

    Attributes:
        types: yaml file with the table of categories; None = the one for COCO's.
        per_photo: posts per photograph.
        held_out: share of the photographs for dev and test, unless ``instances_val*.json`` exists
            beside ``instances_train*.json``: then those are its photographs.
        dev: share of the held-out photographs that are dev.
        min_side: boxes with a shorter side, in pixels, are never named; nor are crowds.

    ``groundable`` is the share of the mentions where a photograph has something left to name.
    """

    LABEL = "data.posts"
    LEAST: ClassVar[Mapping[str, float]] = {**PostDials.LEAST, "per_photo": 1, "min_side": 1}

    types: str | None = None
    per_photo: int = 2
    held_out: float = 0.35
    dev: float = 0.35
    min_side: int = 12

    @cached_property
    def table(self) -> "Table":
        """The table of types."""
        return read_table(TYPES if self.types is None else Path(self.types))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Thing(Named):
    """An invented entity of a category, ``group`` or a parent type, which its kind speaks of."""

    category: str
    kind: str

    @property
    def topic(self) -> str:
        """What phrases know it by."""
        return self.kind


@dataclass(frozen=True)
class Table:
    """What a file like ``types.yaml`` says.

    Attributes:
        person: categories that show people.
        categories: kind, word for one and word for several, by category.
        kinds: type, subtype, suffixes, phrases and cue of each kind.
    """

    person: Words
    categories: Mapping[str, Words]
    kinds: Mapping[str, Mapping[str, Any]]
    phrases: Phrases
    left: Words
    right: Words


def read_table(path: Path) -> Table:
    """Read a table of types.

    Raises:
        InputError: the file is missing or is no such table.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        kinds = {str(name): dict(kind) for name, kind in raw["kinds"].items()}
        rows = {str(name): tuple(map(str, row)) for name, row in raw["categories"].items()}
        for name, kind in kinds.items():
            if kind["parent"] not in PARENTS or not kind["suffixes"] or not kind["phrases"]:
                raise ValueError(f"kind {name!r} needs a parent type, suffixes and phrases")
            str(kind["subtype"]), str(kind["cue"]).format("")
        for name, row in rows.items():
            if len(row) != 3 or row[0] not in kinds:
                raise ValueError(f"category {name!r} needs [kind, word, word for several]")
        about = {name: kind["phrases"] for name, kind in kinds.items()} | raw["phrases"]
        phrases = replace(
            WORLD,
            plain={**WORLD.plain, **by_topic(about)},
            paired={**WORLD.paired, **by_topics(raw["pairs"])},
            certain=("absent",),
        )
        sides = (tuple(raw[side]) for side in ("left", "right"))
        return Table(tuple(map(str, raw["person"])), rows, kinds, phrases, *sides)
    except OSError as error:
        raise fault(path, f"cannot be read ({error.strerror})", "set data.posts.types") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"not a table of types ({first_line(error)})"
        raise fault(path, what, "compare gmbench/data/photos/types.yaml") from None


@dataclass(frozen=True, slots=True)
class Post:
    """The words of a post and its entities."""

    words: Words
    entities: tuple[Annotated, ...]


@dataclass(frozen=True, slots=True)
class _Mention:
    """Somebody or something named, the boxes that show it, and the words of its cue."""

    thing: Thing
    shown: tuple[Instance, ...]
    cue: Cue


class PostWriter:
    """Writes posts about photographs.

    Args:
        dials: the settings.
        categories: those that the photographs are annotated with.

    Raises:
        InputError: the table of types knows none of the categories.
    """

    def __init__(self, dials: PhotoDials, categories: Sequence[str]) -> None:
        self.dials, self.table = dials, dials.table
        known = [name for name in self.table.categories if name in categories]
        if not known and not set(self.table.person) & set(categories):
            listed = ", ".join(sorted(categories)[:10])
            raise InputError(
                f"data.posts.types: no category of the photographs ({listed}) is in the table; "
                f"set data.posts.types to a file like gmbench/data/photos/types.yaml"
            )
        self.categories = known
        cast = self._cast()
        self._by_root: dict[str, list[Thing]] = {}
        for thing in cast:
            self._by_root.setdefault(thing.root, []).append(thing)
        self._seen, self._held_out = (
            Lottery([one for one in cast if one.held_out == held], lambda one: one.category)
            for held in (False, True)
        )
        self._roots = tuple(thing.root for thing in cast if not thing.held_out)

    def _cast(self) -> list[Thing]:
        """Everybody and everything that has a name; persons and places first."""
        dials = self.dials
        rng, pool = Random(f"{dials.seed}/cast"), POOLS[dials.pool]
        suffixes = {
            name: tuple(map(str, kind["suffixes"])) for name, kind in self.table.kinds.items()
        }
        teams = {GROUP: pool.suffixes["organization"][:3]}
        pool = replace(pool, suffixes=pool.suffixes | suffixes | teams)
        firsts = [invent(pool, rng) for _ in range(max(4, dials.cast // 12))]
        # category, kind, parent type, subtypes, share of the cast
        kinds: list[tuple[str, str, str, Words, float]] = [
            (parent, parent, parent, PARENTS[parent].subtypes, share)
            for parent, share in (
                *(("person", 0.34), ("location", 0.14), ("building", 0.05)),
                *(("organization", 0.12), ("event", 0.05)),
            )
        ]
        kinds.append((GROUP, GROUP, "organization", ("sports_team", "band"), 0.08))
        for category in self.categories:
            kind = self.table.categories[category][0]
            row = self.table.kinds[kind]
            share = 0.22 / len(self.categories)
            kinds.append((category, kind, row["parent"], (str(row["subtype"]),), share))
        taken: set[Words] = {(first,) for first in firsts}
        cast: list[Thing] = []
        for category, kind, parent, subtypes, share in kinds:
            for rank in range(max(6, round(dials.cast * share))):
                named, is_held = None, rank % EVERY == EVERY - 1
                while named is None:
                    peers = [one for one in cast if one.held_out == is_held]
                    wanted = dials.ambiguity if peers else 0.0
                    patron = draw_patron(peers, parent, wanted, rng)
                    named = draw_names(pool, kind, patron, firsts, taken, rng)
                root, surfaces = named
                taken.update(surface.words for surface in surfaces)
                cast.append(
                    Thing(
                        index=len(cast),
                        parent=parent,
                        subtype=rng.choice(subtypes),
                        surfaces=surfaces,
                        root=root,
                        held_out=is_held,
                        weight=(rank // EVERY + 3) ** -ZIPF,
                        namesake=patron.index if patron else None,
                        category=category,
                        kind=kind,
                    )
                )
        return cast

    def write(self, photo: Photo, *, unseen: float, rng: Random) -> Post:
        """A post about a photograph.

        Args:
            photo: with every instance, also those that may not be named.
            unseen: share of the mentions whose name training never has.
            rng: the post's generator.
        """
        dials = self.dials
        free = self._nameable(photo)
        mentions: list[_Mention] = []
        wanted = count_mentions(dials, rng)
        paired = wanted >= 2 and rng.random() < dials.pairs
        for number in range(wanted):
            lottery = self._held_out if rng.random() < unseen else self._seen
            mention = None
            if number == 1 and paired and mentions:
                mention = self._namesake(mentions[0].thing, photo, free, rng)
            if mention is None and rng.random() < dials.groundable:
                mention = self._shown(photo, free, lottery, rng)
            elif mention is None:
                mention = self._absent(photo, lottery, rng)
            if mention is None:
                continue
            roots = [other.thing.root for other in mentions]
            is_pair = number == 1 and paired
            if mention.thing.root in roots and not is_pair:
                continue
            for instance in mention.shown:
                free[instance.category].remove(instance)
            mentions.append(mention)
        sentence = write_sentence(
            [mention.thing for mention in mentions],
            pool=dials.pool,
            roots=self._roots,
            vague=dials.vague,
            cues=[mention.cue for mention in mentions],
            max_words=dials.words_max,
            rng=rng,
            tables=self.table.phrases,
        )
        entities = tuple(
            Annotated(at.start, at.end, one.thing, tuple(each.box for each in one.shown))
            for at, one in zip(sentence.mentions, mentions, strict=True)
        )
        return Post(sentence.words, entities)

    def _nameable(self, photo: Photo) -> dict[str, list[Instance]]:
        """The instances that a post may name, largest first, by category; ``person`` for people."""
        free: dict[str, list[Instance]] = {}
        for one in photo.instances:
            sides = one.box[2] - one.box[0], one.box[3] - one.box[1]
            known = one.category in self.table.person or one.category in self.table.categories
            if known and not one.crowd and min(sides) >= self.dials.min_side:
                free.setdefault(one.category, []).append(one)
        return free

    def _shown(
        self, photo: Photo, free: dict[str, list[Instance]], lottery: Lottery[Thing], rng: Random
    ) -> _Mention | None:
        """A name for something in the picture; the prominent is named more often."""
        open_ = [name for name, instances in free.items() if instances]
        if not open_:
            return None
        liking = dict.fromkeys(self.table.person, 2.0)
        weights = [liking.get(name, 1.0) * free[name][0].area ** 0.5 for name in open_]
        category = rng.choices(open_, weights=weights)[0]
        instances = free[category]
        everyone = [one for one in photo.instances if one.category == category]
        is_person = category in self.table.person
        if (
            len(everyone) == len(instances) in (2, 3, 4, 5)
            and rng.random() < 2 * self.dials.multi_box
        ):
            thing = lottery.draw(GROUP if is_person else category, rng)
            words = "" if is_person else self.table.categories[category][2]
            return _Mention(thing, tuple(instances), Cue("" if is_person else "the", words))
        thing = lottery.draw("person" if is_person else category, rng)
        return self._one(thing, category, instances, rng)

    def _one(
        self, thing: Thing, category: str, instances: Sequence[Instance], rng: Random
    ) -> _Mention:
        """A name for one instance: the largest, unless the words say that it is at one side."""
        if rng.random() >= self.dials.cues:
            return _Mention(thing, (instances[0],), Cue())
        if len(instances) > 1 and rng.random() < 0.5:
            side, pick = rng.choice(((self.table.left, min), (self.table.right, max)))
            chosen = pick(instances, key=lambda one: one.box[0] + one.box[2])
            return _Mention(thing, (chosen,), Cue(behind=rng.choice(side)))
        if category in self.table.person:
            return _Mention(thing, (instances[0],), Cue())
        kind, word, _ = self.table.categories[category]
        cue = Cue(behind=str(self.table.kinds[kind]["cue"]).format(word))
        return _Mention(thing, (instances[0],), cue)

    def _absent(self, photo: Photo, lottery: Lottery[Thing], rng: Random) -> _Mention | None:
        """A name for what the picture does not show; people's with words that say so."""
        present = {one.category for one in photo.instances}
        elsewhere = [name for name in self.categories if name not in present]
        shares = {**ABSENT, "": THINGS if elsewhere else 0.0}
        category = rng.choices(tuple(shares), weights=tuple(shares.values()))[0]
        thing = lottery.draw(category or rng.choice(elsewhere), rng)
        return self._missed(thing)

    def _missed(self, thing: Thing) -> _Mention:
        if thing.category == "person":
            thing = replace(thing, kind="absent")
        if thing.category in self.table.categories:
            kind, word, _ = self.table.categories[thing.category]
            return _Mention(thing, (), Cue(behind=str(self.table.kinds[kind]["cue"]).format(word)))
        return _Mention(thing, (), Cue())

    def _namesake(
        self, first: Thing, photo: Photo, free: dict[str, list[Instance]], rng: Random
    ) -> _Mention | None:
        """Another bearer of a name: shown if the picture can show it."""
        others = [one for one in self._by_root[first.root] if one.index != first.index]
        if not others:
            return None
        thing = rng.choice(others)
        people = {one.category for one in photo.instances} & set(self.table.person)
        if free.get(thing.category):
            return self._one(thing, thing.category, free[thing.category], rng)
        if thing.category in {one.category for one in photo.instances}:
            return None  # too small, or named already: the words could mean it
        return None if thing.category == GROUP and people else self._missed(thing)
