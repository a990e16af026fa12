"""Perturbed copies of a data set: the test split changed on purpose, all else as it is.

A copy is an ordinary data set in the layout of Twitter-GMNER, with what a system is to answer,
without gold, in ``posts.jsonl``. Ids, number and types of the entities stay, and their boxes even
where the picture no longer shows them: what is asked is how much of a score needs the picture.

========  ========================================================================================
original  nothing is changed
swapped   the picture of another example, stretched to this one's size, with its own candidates; no
          name that has a box here has one there
blank     a grey picture of the same size; the candidates stay where they are, without what a
          detector saw in them
mirrored  picture, gold boxes and candidates, left to right
names     each name becomes an invented one of its type, made of words that train never has
lower     every word in lower case
cues      each word outside names that goes with types or presence of entities becomes ``...``
========  ========================================================================================

What does not change is linked, pictures to the originals, which are never written to.
"""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import file_digest, sha256
from math import log
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageOps

from gmbench.core.entities import Box, Example
from gmbench.core.errors import InputError
from gmbench.core.safe_text import to_json
from gmbench.data.fingerprint import Fingerprint, fingerprint
from gmbench.data.images import picture_of
from gmbench.data.layout import build_once, voc, write_candidates
from gmbench.data.regions import RegionSource
from gmbench.data.regions.vinvl import VinVL
from gmbench.data.source import SPLITS, DataSource
from gmbench.data.synthetic.cast import BENCH, PARENTS, Words, draw_names, invent
from gmbench.scoring.fine_types import coarse

VERSION = 1
"""Raise it whenever the same settings would give different copies."""
ORIGINAL = "original"
OF_PICTURES = ("swapped", "blank", "mirrored")
OF_WORDS = ("names", "lower", "cues")
GREY = 127
"""Of the blank picture: that of letterbox bars, so that none of its regions shows an edge."""
MASK = "..."
"""What stands for a masked word: known to every vocabulary, and the name of nothing."""
RISK = 0.05
"""Of taking any word at all for a cue by chance."""
FIRST_NAMES = 40
FOLDERS = ("txt", "xml", "images", "vinvl")
POSTS = "posts.jsonl"

Shown = tuple[Example, Image.Image | None]
"""An example, and its picture where that is another one than its file shows."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy as it is read back.

    Attributes:
        how: what was done: a key of the table above.
        folder: of the data set.
        examples: of the test split.
        changed: how many of them are not what they were.
    """

    how: str
    folder: Path
    examples: tuple[Example, ...]
    changed: int


@dataclass(frozen=True, kw_only=True)
class Copies:
    """The copies of one data set, the unchanged one first.

    Attributes:
        name: of the data set.
        fingerprint: of it and its candidates.
        types: of entities, in order.
        saw_pixels: whether any test example has a picture; without one, only words are perturbed.
    """

    name: str
    fingerprint: Fingerprint
    types: tuple[str, ...]
    saw_pixels: bool
    copies: tuple[Copy, ...]


def write_copies(
    source: DataSource, regions: RegionSource | None, folder: Path, *, seed: int = 1
) -> Copies:
    """Write the copies that are not there yet, and read all of them.

    Args:
        source: the data set, which is left as it is.
        regions: candidates of its pictures, or None.
        folder: copies are written to ``NAME-DIGEST/HOW`` below it.
        seed: of everything drawn.

    Raises:
        InputError: the data set cannot be read, or has too few pictures to swap.
        OSError: the folder cannot be written.
    """
    if source.foreign is not None:
        raise InputError("data.foreign changes the pictures already: audit the data set without it")
    splits = {name: source.read(name, regions) for name in SPLITS}
    found = fingerprint(source, splits, with_candidates=regions is not None)
    digest = sha256(f"{VERSION}|{found}|{source.limit}|{seed}".encode()).hexdigest()[:10]
    place = folder.absolute() / f"{source.name}-{digest}"
    place.mkdir(parents=True, exist_ok=True)
    test = splits["test"].examples
    saw_pixels = any(example.image is not None for example in test)
    copies = []
    for how in (ORIGINAL, *(OF_PICTURES if saw_pixels else ()), *OF_WORDS):

        def build(target: Path, how: str = how) -> None:
            changed = perturbed(how, test, train=splits["train"].examples, seed=seed)
            for name, split in splits.items():
                if name == "test":
                    _write(target, name, changed)
                elif how == ORIGINAL:
                    _write(target, name, ((example, None) for example in split.examples))
                else:
                    _link(target, name, split.examples)

        copied = replace(
            DataSource(
                name=f"{source.name}_{how}",
                root=build_once(place / how, build),
                text_dir="txt",
                xml_dir="xml",
                image_dir="images",
                tag_column=1,
                types=source.types,
                missing_image="blank",
            )
        )
        examples = copied.read(
            "test", None if regions is None else _candidates(copied, test)
        ).examples
        changed = sum(
            now.words != was.words or (how in OF_PICTURES and now.image is not None)
            for was, now in zip(test, examples, strict=True)
        )
        copies.append(Copy(how=how, folder=copied.root, examples=examples, changed=changed))
    return Copies(
        name=source.name,
        fingerprint=found,
        types=tuple(source.types),
        saw_pixels=saw_pixels,
        copies=tuple(copies),
    )


def _candidates(copied: DataSource, originals: Sequence[Example]) -> VinVL:
    """The candidates of a copy, all of them and with all that the originals have."""
    found = [example.candidates for example in originals if example.candidates is not None]
    return VinVL(
        folder=copied.root / "vinvl",
        k=max((1, *map(len, found))),
        missing="none",
        features=any(candidates.features is not None for candidates in found),
    )


def perturbed(
    how: str, examples: Sequence[Example], *, train: Sequence[Example], seed: int
) -> Iterator[Shown]:
    """The examples, each with its perturbation.

    Where a changed text could not be annotated, since two names with different boxes would read
    the same, the example stays as it is.

    Args:
        how: ``original``, or one of ``OF_PICTURES`` and ``OF_WORDS``.
        examples: of the split that is perturbed.
        train: decides what is unseen and what is a cue.
        seed: of everything drawn.

    Raises:
        InputError: there are too few pictures to swap.
    """
    if how == "swapped":
        yield from _swapped(examples, seed)
        return
    names = invented_names(examples, train, seed) if how == "names" else {}
    cues = cue_words(train) if how == "cues" else frozenset()
    for example in examples:
        if how in OF_PICTURES:
            yield (example, None) if example.image is None else _CHANGES[how](example)
            continue
        other = example
        if how == "names":
            other = _renamed(example, names)
        elif how == "lower":
            other = replace(example, words=tuple(word.lower() for word in example.words))
        elif how == "cues":
            other = _masked(example, cues)
        yield other if _can_be_annotated(other) else example, None


# Pictures.


def _swapped(examples: Sequence[Example], seed: int) -> Iterator[Shown]:
    for example, donor in zip(examples, donors(examples, seed), strict=True):
        if donor is None:
            yield example, None
            continue
        assert donor.image is not None
        assert donor.size is not None
        assert example.size is not None
        across, down = (a / b for a, b in zip(example.size, donor.size, strict=True))
        candidates = donor.candidates
        if candidates is not None:
            stretched = candidates.boxes * [across, down, across, down]
            candidates = replace(candidates, boxes=stretched)
        other = replace(example, image=donor.image, candidates=candidates)
        if donor.size == example.size == _stored_size(donor.image):
            yield other, None
        else:
            yield other, picture_of(donor).resize(example.size, Image.Resampling.BILINEAR)


def donors(examples: Sequence[Example], seed: int) -> tuple[Example | None, ...]:
    """For each example the one whose picture it is given; None where it has no picture itself.

    Of the pictures that differ from its own and have no box for a name that has one in it, the
    first in order of height to width from its own on, ties drawn: little is stretched.

    Raises:
        InputError: an example has no such picture.
    """
    rng = Random(f"{seed}/swapped")
    shown = [e for e in examples if e.image is not None and e.size is not None]
    order = sorted(shown, key=lambda e: (round(log(e.size[1] / e.size[0]), 2), rng.random()))  # type: ignore[index]
    contents = {example.id: _content(example.image) for example in order}  # type: ignore[arg-type]
    names = {example.id: _shown_names(example) for example in order}
    found: dict[str, Example] = {}
    for place, example in enumerate(order):
        for other in (*order[place + 1 :], *order[:place]):
            if contents[other.id] != contents[example.id] and not (
                names[other.id] & names[example.id]
            ):
                found[example.id] = other
                break
        else:
            raise InputError(
                f"example {example.id!r}: no other picture of the split to swap with its own"
            )
    return tuple(found.get(example.id) for example in examples)


def _content(path: Path) -> bytes:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").digest()


def _shown_names(example: Example) -> frozenset[str]:
    return frozenset(
        _surface(example.words, e.start, e.end).casefold() for e in example.entities if e.boxes
    )


def _stored_size(path: Path) -> tuple[int, int]:
    """Size of a picture before its EXIF orientation."""
    with Image.open(path) as image:
        return image.size


def _blank(example: Example) -> Shown:
    assert example.size is not None
    candidates = example.candidates
    if candidates is not None:
        seen = candidates.features
        nothing = None if seen is None else np.zeros_like(seen)
        candidates = replace(candidates, features=nothing, classes=None)
    grey = Image.new("RGB", example.size, (GREY, GREY, GREY))
    return replace(example, candidates=candidates), grey


def _mirrored(example: Example) -> Shown:
    assert example.size is not None
    width = example.size[0]

    def flipped(box: Box) -> Box:
        return width - box[2], box[1], width - box[0], box[3]

    candidates = example.candidates
    if candidates is not None:
        x1, y1, x2, y2 = candidates.boxes.T
        flipped_boxes = np.stack([width - x2, y1, width - x1, y2], axis=1)
        candidates = replace(candidates, boxes=flipped_boxes)
    entities = tuple(replace(e, boxes=tuple(map(flipped, e.boxes))) for e in example.entities)
    other = replace(example, entities=entities, candidates=candidates)
    return other, ImageOps.mirror(picture_of(example))


_CHANGES = {"blank": _blank, "mirrored": _mirrored}


# Words.


def invented_names(
    examples: Sequence[Example], train: Sequence[Example], seed: int
) -> dict[tuple[str, str], Words]:
    """For each type and name in lower case, another name of that type.

    The invented word of a name (both of a person's) is none of train, and no two names are given
    the same; what may follow it, such as *Hall*, tells its type as it does elsewhere.
    """
    rng = Random(f"{seed}/names")
    seen = {word.casefold() for example in train for word in example.words}
    firsts: list[str] = []
    while len(firsts) < FIRST_NAMES:
        word = invent(BENCH, rng)
        firsts += [word] * (word.casefold() not in seen)
    taken: set[Words] = set()
    named = {
        (e.type, _surface(example.words, e.start, e.end).casefold())
        for example in examples
        for e in example.entities
    }
    return {key: _name(key[0], firsts, taken, seen, rng) for key in sorted(named)}


def _name(
    type_: str, firsts: Sequence[str], taken: set[Words], seen: set[str], rng: Random
) -> Words:
    parent = coarse(type_)
    kinds = [kind for kind, of in PARENTS.items() if parent in (kind, of.type)] or [*PARENTS]
    shares = [PARENTS[kind].share for kind in kinds]
    while True:
        named = draw_names(BENCH, rng.choices(kinds, shares)[0], None, firsts, taken, rng)
        if named is None:
            continue
        root, surfaces = named
        words = surfaces[0].words
        if root in words and root.casefold() not in seen:
            taken.add(words)
            return words


def _renamed(example: Example, names: Mapping[tuple[str, str], Words]) -> Example:
    """The example under other names, which may be longer or shorter."""
    words: list[str] = []
    entities = []
    reached = 0
    for entity in sorted(example.entities, key=lambda entity: entity.start):
        old = _surface(example.words, entity.start, entity.end)
        new = names[entity.type, old.casefold()]
        words += example.words[reached : entity.start]
        end = len(words) + len(new) - 1
        entities.append(replace(entity, start=len(words), end=end))
        words += (
            map(str.upper, new) if old.isupper() else map(str.lower, new) if old.islower() else new
        )
        reached = entity.end + 1
    return replace(example, words=(*words, *example.words[reached:]), entities=tuple(entities))


def cue_words(train: Sequence[Example]) -> frozenset[str]:
    """Words in lower case, outside names, that go with what an example's entities are.

    The kinds are each type with and without a box. A word is a cue if the kinds of the entities in
    the examples that have it differ from those in the others by a G test, at 5 % after Bonferroni's
    correction for the number of words.
    """
    from scipy.special import chdtrc, xlogy

    kinds = sorted({(e.type, e.groundable) for example in train for e in example.entities})
    column = {kind: n for n, kind in enumerate(kinds)}
    present: dict[str, Counter[int]] = {}
    total = np.zeros(len(kinds))
    for example in train:
        found = Counter(column[e.type, e.groundable] for e in example.entities)
        total += [found[n] for n in range(len(kinds))]
        for word in {example.words[n].casefold() for n in _outside(example)}:
            present.setdefault(word, Counter()).update(found)
    words = sorted(present)
    with_word = np.asarray([[present[w][n] for n in range(len(kinds))] for w in words])  # [V, C]
    if len(kinds) < 2 or not words:
        return frozenset()
    statistic = np.zeros(len(words))
    for counts in (with_word, total - with_word):
        expected = counts.sum(axis=1, keepdims=True) * total / total.sum()
        statistic += 2 * (xlogy(counts, counts) - xlogy(counts, np.maximum(expected, 1e-300))).sum(
            1
        )
    chosen = chdtrc(len(kinds) - 1, statistic) * len(words) <= RISK
    return frozenset(word for word, is_cue in zip(words, chosen, strict=True) if is_cue)


def _masked(example: Example, cues: frozenset[str]) -> Example:
    words = list(example.words)
    for place in _outside(example):
        if words[place].casefold() in cues:
            words[place] = MASK
    return replace(example, words=tuple(words))


def _outside(example: Example) -> list[int]:
    """Places of the words that belong to no name."""
    named = {n for e in example.entities for n in range(e.start, e.end + 1)}
    return [n for n in range(len(example.words)) if n not in named]


def _surface(words: Sequence[str], start: int, end: int) -> str:
    return " ".join(words[start : end + 1])


def _can_be_annotated(example: Example) -> bool:
    """Whether names that read the same have the same boxes: an xml file knows boxes by name."""
    boxes: dict[str, tuple[Box, ...]] = {}
    return all(
        boxes.setdefault(_surface(example.words, e.start, e.end), e.boxes) == e.boxes
        for e in example.entities
    )


# The files.


def _make(folder: Path) -> None:
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)


def _link(folder: Path, split: str, examples: Iterable[Example]) -> None:
    """Add a split that is not changed to a copy: its files are those of the original's copy."""
    _make(folder)
    original = folder.parent / ORIGINAL
    shutil.copyfile(original / "txt" / f"{split}.txt", folder / "txt" / f"{split}.txt")
    for example in examples:
        files = {
            f"xml/{example.id}.xml": example.size,
            f"images/{example.id}.jpg": example.image,
            f"vinvl/{example.id}.jpg.npz": example.candidates,
        }
        for name in (name for name, part in files.items() if part is not None):
            try:
                (folder / name).symlink_to(Path("..", "..", ORIGINAL, name))
            except OSError:  # a file system without links
                shutil.copyfile(original / name, folder / name)


def _write(folder: Path, split: str, examples: Iterable[Shown]) -> None:
    """Add a split to a data set."""
    _make(folder)
    with (
        (folder / "txt" / f"{split}.txt").open("w", encoding="utf-8", newline="\n") as text,
        (folder / POSTS).open("a", encoding="utf-8", newline="\n") as posts,
    ):
        for example, picture in examples:
            text.write(f"IMGID:{example.id}\n")
            text.writelines(f"{word}\t{tag}\n" for word, tag in zip(*_tagged(example), strict=True))
            text.write("\n")
            post: dict[str, object] = {"id": example.id, "words": list(example.words)}
            if example.size is not None:
                objects = {
                    (_surface(example.words, e.start, e.end), box): None
                    for e in example.entities
                    for box in e.boxes
                }
                annotation = voc(example.id, example.size, [*objects])
                (folder / "xml" / f"{example.id}.xml").write_text(annotation, encoding="utf-8")
                post["size"] = list(example.size)
            if example.image is not None:
                post["image"] = name = f"images/{example.id}.jpg"
                _put(folder / name, example.image, picture)
            if example.candidates is not None and example.size is not None:
                found = example.candidates
                known = (found.boxes, found.scores, found.features, found.classes)
                write_candidates(folder, example.id, example.size, *known)
            if split == "test":
                posts.write(to_json(post) + "\n")


def _tagged(example: Example) -> tuple[Words, list[str]]:
    tags = ["O"] * len(example.words)
    for entity in example.entities:
        for place in range(entity.start, entity.end + 1):
            tags[place] = f"{'B' if place == entity.start else 'I'}-{entity.type}"
    return example.words, tags


def _put(target: Path, file: Path, picture: Image.Image | None) -> None:
    """A picture as PNG, without loss, whatever the layout calls it; or a link to the file."""
    if picture is not None:
        picture.save(target, format="png", compress_level=1)
        return
    try:
        target.symlink_to(file.resolve())
    except OSError:  # a file system without links
        shutil.copyfile(file, target)
