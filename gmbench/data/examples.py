"""Blocks + xml + images + candidates -> the examples of a split, under chosen policies.

Faults are collected first, then either raised as one error or counted: a user with three hundred
missing files learns so at once.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path

from gmbench.core.entities import Box, Candidates, Entity, Example
from gmbench.core.errors import (
    InputError,
    MissingRegions,
    SizeMismatch,
    fault,
    first_ten,
    near_names,
)
from gmbench.data.bio import Block
from gmbench.data.images import image_size
from gmbench.data.regions import Batched, RegionSource, Size
from gmbench.data.voc import VocObject, check_inside, check_name, read_voc


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """Counts of one split, including everything that a lenient policy let pass.

    Attributes:
        tweets: examples read, after dropping and limiting.
        missing_images: absent image files.
        masked_images: bad image files, treated as missing.
        size_mismatches: of these, the ones whose size is not the xml's.
        dropped_files: unreadable xml files.
        dropped_objects: xml objects with a fault.
        repeated_surfaces: groundable names that occur more than once in their example; each
            mention gets all boxes of that name.
        stray_tags: entities that an I- without a fitting B- opened.
        missing_regions: images for which the source of candidates has nothing.
        masked_regions: images with bad candidates.
        leaked_dropped: examples left out because their text occurs in the training split.
        absent_images: name of each missing image, with the one that is there in other letters.
        absent_regions: one line per image without candidates.
        problems: one line per bad file or object, in the order of reading.
    """

    tweets: int = 0
    missing_images: int = 0
    masked_images: int = 0
    size_mismatches: int = 0
    dropped_files: int = 0
    dropped_objects: int = 0
    repeated_surfaces: int = 0
    stray_tags: int = 0
    missing_regions: int = 0
    masked_regions: int = 0
    leaked_dropped: int = 0
    absent_images: tuple[str, ...] = ()
    absent_regions: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Every count by its name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.type is int}


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A part of a data set (``train``, ``dev``, ``test``), in the file's order."""

    name: str
    examples: tuple[Example, ...]
    report: ReadReport

    def __len__(self) -> int:
        return len(self.examples)


@dataclass
class _Tally:
    """Counts and problems while a split is read."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    missing_images: list[str] = field(default_factory=list)
    missing_regions: list[str] = field(default_factory=list)

    def note(self, count: str, error: InputError) -> None:
        self.counts[count] += 1
        self.bad.append(str(error))


def assemble(
    blocks: Sequence[Block],
    *,
    split: str,
    xml_dir: Path | None,
    image_dir: Path,
    image_advice: str,
    regions: RegionSource | None,
    missing_image: str,
    bad_input: str,
) -> tuple[tuple[Example, ...], ReadReport]:
    """Build the examples in the order of ``blocks``, and report what was odd.

    The arguments are those of ``DataSource`` and its ``read``.

    Raises:
        InputError: something is bad or missing that the policies do not forgive.
    """
    tally = _Tally()
    images = _names(image_dir)
    annotated = frozenset[str]() if xml_dir is None else _names(xml_dir)
    if isinstance(regions, Batched):
        files = [f"{block.id}.jpg" for block in blocks]
        regions.fill([image_dir / file for file in files if file in images])
    examples: list[Example] = []
    for block in blocks:
        size: Size | None = None
        objects: list[VocObject] = []
        path = (xml_dir or image_dir) / f"{block.id}.xml"
        if path.name in annotated:
            size, objects = _objects(path, block, tally)
        image: Path | None = None
        if f"{block.id}.jpg" in images:
            file = image_dir / f"{block.id}.jpg"
            image, size = _look(file, size, tally)
        else:
            tally.missing_images.append(f"{block.id}.jpg")
        if size is not None:  # an xml without <size> could not tell
            objects = _sound(objects, partial(check_inside, path, size=size), tally)
        examples.append(
            Example(
                id=block.id,
                words=block.words,
                entities=_grounded(block, objects, tally),
                image=image,
                size=size,
                candidates=_candidates(block.id, image, size, regions, tally),
            )
        )
        tally.counts["stray_tags"] += block.stray
    if bad_input == "error" and tally.bad:
        more = len(tally.bad) - 1
        rest = f" (and {more} more, see gmbench.prepare)" if more else ""
        advice = "data.bad_input=mask leaves bad input out and counts it"
        raise InputError(f"{tally.bad[0]}{rest}; {advice}")
    absent = near_names(tally.missing_images, images)
    if missing_image == "error" and absent:
        raise fault(
            image_dir,
            f"{len(absent):,} of {len(blocks):,} images of split {split!r} are "
            f"missing ({first_ten(absent)})",
            f"{image_advice}; or set data.missing_image=blank to go without",
        )
    if bad_input == "error" and tally.missing_regions:
        count = len(tally.missing_regions)
        rest = f" ({count:,} of {len(blocks):,} images of split {split!r})" if count > 1 else ""
        raise MissingRegions(f"{tally.missing_regions[0]}{rest}")
    report = ReadReport(
        tweets=len(examples),
        missing_images=len(absent),
        missing_regions=len(tally.missing_regions),
        absent_images=tuple(absent),
        absent_regions=tuple(tally.missing_regions),
        problems=tuple(tally.bad),
        **tally.counts,
    )
    return tuple(examples), report


def _names(folder: Path) -> frozenset[str]:
    """File names of a folder: one listing is faster than asking ten thousand times."""
    return frozenset(p.name for p in folder.iterdir()) if folder.is_dir() else frozenset()


def _objects(path: Path, block: Block, tally: _Tally) -> tuple[Size | None, list[VocObject]]:
    """Size and sound objects of an xml file."""
    try:
        annotation = read_voc(path)
    except InputError as error:
        tally.note("dropped_files", error)
        return None, []
    for wrong in annotation.faults:
        tally.note("dropped_objects", wrong)
    check = partial(check_name, path, names={block.surface(entity) for entity in block.entities})
    return annotation.size, _sound(annotation.objects, check, tally)


def _sound(
    objects: Iterable[VocObject], check: Callable[[VocObject], None], tally: _Tally
) -> list[VocObject]:
    """The objects that pass a check; the others are noted."""
    sound = []
    for item in objects:
        try:
            check(item)
        except InputError as error:
            tally.note("dropped_objects", error)
        else:
            sound.append(item)
    return sound


def _look(path: Path, expected: Size | None, tally: _Tally) -> tuple[Path | None, Size | None]:
    """The image and its size; a bad one is noted and treated as missing."""
    try:
        return path, image_size(path, expected)
    except InputError as error:
        tally.counts["size_mismatches"] += isinstance(error, SizeMismatch)
        tally.note("masked_images", error)
        return None, expected


def _grounded(block: Block, objects: Sequence[VocObject], tally: _Tally) -> tuple[Entity, ...]:
    """The block's entities with the boxes of their names: every mention of a name gets them all."""
    boxes: dict[str, tuple[Box, ...]] = {}
    for item in objects:
        boxes[item.name] = (*boxes.get(item.name, ()), item.box)
    mentions = Counter(block.surface(entity) for entity in block.entities)
    tally.counts["repeated_surfaces"] += sum(mentions[name] > 1 for name in boxes)
    return tuple(replace(e, boxes=boxes.get(block.surface(e), ())) for e in block.entities)


def _candidates(
    id_: str,
    image: Path | None,
    size: Size | None,
    regions: RegionSource | None,
    tally: _Tally,
) -> Candidates | None:
    if regions is None or image is None:
        return None
    try:
        return regions(id=id_, image=image, size=size)
    except MissingRegions as error:
        tally.missing_regions.append(str(error))
    except InputError as error:
        tally.note("masked_regions", error)
    return None
