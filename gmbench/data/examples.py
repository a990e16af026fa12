"""Blocks + xml + images + candidates -> examples, under the policies that were chosen.

Everything wrong is first collected, then either raised as one error or counted: a user with three
hundred missing files learns so at once.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from gmbench.core.entities import Box, Candidates, Entity, Example
from gmbench.core.errors import (
    IMAGE_ORIGIN,
    InputError,
    MissingRegions,
    SizeMismatch,
    first_ten,
    located,
)
from gmbench.data.bio import Block
from gmbench.data.images import image_size, open_image
from gmbench.data.regions import RegionSource
from gmbench.data.voc import VocObject, check_names, outside, read_voc


# What reading a split gives: its examples and an account of everything odd about them.
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """Counts of one split; whatever a lenient policy let pass stands here.

    Attributes:
        tweets: examples read, after dropping and limiting.
        missing_images: image files that are not there.
        masked_images: image files that are there but bad, and count as missing.
        size_mismatches: of these, the ones whose size is not the xml's.
        dropped_files: xml files that could not be read.
        dropped_objects: xml objects with a fault.
        repeated_surfaces: groundable names that occur more than once in their tweet; each mention
            gets all boxes of that name.
        stray_tags: entities that an I- without a fitting B- opened.
        missing_regions: images on which the source of candidates has nothing.
        masked_regions: images whose candidates are there but bad.
        leaked_dropped: tweets left out because their text occurs in the training split.
        problems: one line for each bad file or object, in the order of reading.
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
    problems: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Every count by its name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "problems"}

    @property
    def bad_images(self) -> int:
        """Images that no model can see: missing or masked."""
        return self.missing_images + self.masked_images


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A part of a data set (``train``, ``dev``, ``test``), in the file's order."""

    name: str
    examples: tuple[Example, ...]
    report: ReadReport

    def __len__(self) -> int:
        return len(self.examples)


Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Policies:
    """What to do about input that is missing or bad.

    Attributes:
        missing_image: ``error``, or ``blank``: the example has no image.
        bad_input: ``error``, or ``mask``: a bad image counts as missing, bad candidates too, a bad
            xml object or file is dropped; all are counted.
        verify_images: decode every image now, not only its header.
    """

    missing_image: Literal["error", "blank"] = "error"
    bad_input: Literal["error", "mask"] = "error"
    verify_images: bool = False


@dataclass
class _Tally:
    """Counts and problems while a split is being read."""

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
    xml_dir: Path,
    image_dir: Path,
    regions: RegionSource | None,
    policies: Policies,
) -> tuple[tuple[Example, ...], ReadReport]:
    """Examples in the order of ``blocks``, and the account of what was odd.

    Raises:
        InputError: something is bad or missing that the policies do not forgive.
    """
    tally = _Tally()
    images = _names(image_dir)
    annotated = _names(xml_dir)
    examples: list[Example] = []
    for block in blocks:
        size: Size | None = None
        objects: tuple[VocObject, ...] = ()
        path = xml_dir / f"{block.id}.xml"
        if path.name in annotated:
            size, objects = _objects(path, block, tally)
        image = image_dir / f"{block.id}.jpg"
        if image.name in images:
            seen, size = _look(image, size, tally, verify=policies.verify_images)
        else:
            seen = None
            tally.missing_images.append(block.id)
        if size is not None:
            objects = _inside(path, objects, size, tally)
        examples.append(
            Example(
                id=block.id,
                words=block.words,
                entities=_grounded(block, objects, tally),
                image=seen,
                size=size,
                candidates=_candidates(block.id, seen, size, regions, tally),
            )
        )
        tally.counts["stray_tags"] += block.stray
    _forgive(tally, policies, split=split, total=len(blocks), image_dir=image_dir)
    report = ReadReport(
        tweets=len(examples),
        missing_images=len(tally.missing_images),
        missing_regions=len(tally.missing_regions),
        problems=tuple(tally.bad),
        **tally.counts,
    )
    return tuple(examples), report


def _names(folder: Path) -> frozenset[str]:
    """File names of a folder: one listing is faster than asking ten thousand times."""
    return frozenset(p.name for p in folder.iterdir()) if folder.is_dir() else frozenset()


def _objects(path: Path, block: Block, tally: _Tally) -> tuple[Size | None, tuple[VocObject, ...]]:
    """Size and sound objects of an xml file, faults noted."""
    try:
        annotation = read_voc(path)
    except InputError as error:
        tally.note("dropped_files", error)
        return None, ()
    names = {block.surface(entity) for entity in block.entities}
    for wrong in (*annotation.faults, *check_names(path, annotation.objects, names)):
        tally.note("dropped_objects", wrong)
    return annotation.size, tuple(item for item in annotation.objects if item.name in names)


def _look(
    path: Path, expected: Size | None, tally: _Tally, *, verify: bool
) -> tuple[Path | None, Size | None]:
    """The image and its size; a bad one is noted and counts as missing."""
    try:
        if verify:
            return path, open_image(path, expected).size
        return path, image_size(path, expected)
    except InputError as error:
        tally.counts["size_mismatches"] += isinstance(error, SizeMismatch)
        tally.note("masked_images", error)
        return None, expected


def _inside(
    path: Path, objects: tuple[VocObject, ...], size: Size, tally: _Tally
) -> tuple[VocObject, ...]:
    """The objects inside an image of ``size`` (an xml without ``<size>`` could not tell)."""
    kept = []
    for item in objects:
        error = outside(path, item, size)
        if error is None:
            kept.append(item)
        else:
            tally.note("dropped_objects", error)
    return tuple(kept)


def _grounded(block: Block, objects: tuple[VocObject, ...], tally: _Tally) -> tuple[Entity, ...]:
    """The block's entities with the boxes of their names: every mention of a name gets them all."""
    boxes: dict[str, tuple[Box, ...]] = {}
    for item in objects:
        boxes[item.name] = (*boxes.get(item.name, ()), item.box)
    mentions = Counter(block.surface(entity) for entity in block.entities)
    tally.counts["repeated_surfaces"] += sum(mentions[name] > 1 for name in boxes)
    return tuple(
        Entity(e.start, e.end, e.type, boxes.get(block.surface(e), ())) for e in block.entities
    )


def _candidates(
    tweet: str,
    image: Path | None,
    size: Size | None,
    regions: RegionSource | None,
    tally: _Tally,
) -> Candidates | None:
    if regions is None or image is None:
        return None
    try:
        return regions(id=tweet, image=image, size=size)
    except MissingRegions as error:
        tally.missing_regions.append(str(error))
    except InputError as error:
        tally.note("masked_regions", error)
    return None


def _forgive(tally: _Tally, policies: Policies, *, split: str, total: int, image_dir: Path) -> None:
    """Raise what the policies do not forgive: bad files first, then what is missing."""
    if tally.bad and policies.bad_input == "error":
        more = len(tally.bad) - 1
        advice = "data.bad_input=mask leaves bad input out and counts it"
        rest = f" (and {more} more, see gmbench.prepare)" if more else ""
        raise InputError(f"{tally.bad[0]}{rest}; {advice}")
    missing = tally.missing_images
    if missing and policies.missing_image == "error":
        raise InputError(
            located(
                image_dir,
                f"{len(missing):,} of {total:,} images of split {split!r} are missing "
                f"({first_ten(f'{name}.jpg' for name in missing)})",
                f"{IMAGE_ORIGIN}; or set data.missing_image=blank to go without",
            )
        )
    if tally.missing_regions and policies.bad_input == "error":
        count = len(tally.missing_regions)
        more_regions = f" ({count:,} of {total:,} images of split {split!r})" if count > 1 else ""
        raise MissingRegions(f"{tally.missing_regions[0]}{more_regions}")
