"""A data set on disk: where its parts are, what its tags mean, what to do about faults."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Annotated, Literal, Protocol

from annotated_types import MinLen

from gmbench.core.entities import Example
from gmbench.core.errors import InputError, fault, located, near_names
from gmbench.core.limits import Count
from gmbench.data.bio import READER_VERSION, Block, read_blocks
from gmbench.data.examples import Split, assemble
from gmbench.data.images import Pictures, picture_of
from gmbench.data.regions import RegionSource

SPLITS = ("train", "dev", "test")
RETWEET = re.compile(r"^rt @ \S+( _)?( :)?")
NOT_WORD = re.compile(r"[\W_]+")
TWITTER_TEXTS = (
    "Twitter-GMNER v2.0: txt/ and xml/ are in github.com/NUSTM/GMNER, folder Twitter10000_v2.0; "
    "txt_fine/ is in github.com/NUSTM/FMNERG, folder Twitter10000v2"
)
MNER_TEXTS = (
    "train.txt, valid.txt and test.txt of Twitter-2015 and Twitter-2017 are in "
    "github.com/jefferyYu/UMT, folder data"
)
MNER_NAMES = ("twitter2015", "twitter2017")
TWITTER_IMAGES = (
    "Twitter-GMNER: the archive of the tweets' images is linked in the README of "
    "github.com/NUSTM/GMNER (and of NUSTM/FMNERG)"
)


class World(Protocol):
    """A data set that is generated."""

    def place(self, root: Path) -> Path:
        """The folder below ``root`` that holds the data once it is generated."""
        ...

    def ensure(self, root: Path) -> Path:
        """Return that folder, generating the data if necessary."""
        ...


class Foreign(Protocol):
    """What is done to images on purpose, to test robustness; its ``repr`` identifies it."""

    def pictures(self, split: str, examples: Sequence[Example]) -> Pictures:
        """Where the images of these examples of a split come from."""
        ...


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """A data set in the layout of Twitter-GMNER: BIO text, one xml and one jpg per example.

    Attributes:
        name: as reported in results.
        root: folder that the other folders are relative to.
        text_dir: holds ``train.txt``, ``dev.txt`` (or ``valid.txt``), ``test.txt``.
        xml_dir: holds ``<id>.xml`` of the examples with a groundable entity; None = no entity has
            a box, and nothing of grounding is scored.
        image_dir: holds ``<id>.jpg``.
        tag_column: column of the tags in the text, 1 = first after the word.
        types: tag -> name in prompts; their order gives the classes 1, 2, ...
        renamed: tags of other versions of the labels, and the type that each is read as.
        missing_image: ``error``, or ``blank``: go without absent images.
        bad_input: ``error``, or ``mask``: bad images and candidates are treated as missing, bad xml
            objects and files dropped; all are counted.
        drop_leaked: leave out dev and test examples whose text occurs in train (normalised).
        limit: maximum number of examples per split; the first ones are read.
        world: generates the data of a built-in world.
        foreign: pastes pieces of other images in (foreign.py); None = images as they are.
    """

    name: str
    root: Path
    text_dir: str
    xml_dir: str | None
    image_dir: str
    tag_column: Count
    types: Annotated[Mapping[str, str], MinLen(1)]
    renamed: Mapping[str, str] = field(default_factory=dict)
    missing_image: Literal["error", "blank"] = "error"
    bad_input: Literal["error", "mask"] = "error"
    drop_leaked: bool = False
    limit: Count | None = None
    world: World | None = None
    foreign: Foreign | None = None

    def __post_init__(self) -> None:
        # Configuration files give strings and their own kind of mapping.
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "types", {str(tag): str(name) for tag, name in self.types.items()})

    @property
    def synthetic(self) -> bool:
        """Whether this is a built-in world, which is never ranked with real data."""
        return self.world is not None

    @property
    def is_pending(self) -> bool:
        """Whether this is a built-in world that has yet to be generated."""
        return self.world is not None and not self.world.place(self.root).is_dir()

    @cached_property
    def folder(self) -> Path:
        """Where the data is; a built-in world is generated at the first access."""
        return self.root if self.world is None else self.world.ensure(self.root)

    @property
    def is_twitter(self) -> bool:
        """Whether this is Twitter-GMNER, whose files have a known origin."""
        return self.name.startswith("twitter")

    @property
    def origin(self) -> str:
        """Where absent texts come from; empty where nothing is known."""
        if self.name in MNER_NAMES:
            return MNER_TEXTS
        return TWITTER_TEXTS if self.is_twitter else ""

    @property
    def image_advice(self) -> str:
        """Where absent images come from."""
        if self.name in MNER_NAMES:
            return "the archive of images is linked in the README of github.com/jefferyYu/UMT"
        return TWITTER_IMAGES if self.is_twitter else "add them as <id>.jpg, or set data.image_dir"

    @property
    def texts(self) -> Path:
        """Folder of the BIO files."""
        return self.folder / self.text_dir

    @property
    def xmls(self) -> Path | None:
        """Folder of the annotations, if there are any."""
        return None if self.xml_dir is None else self.folder / self.xml_dir

    @property
    def images(self) -> Path:
        """Folder of the images."""
        return self.folder / self.image_dir

    def read(self, split: str, regions: RegionSource | None = None) -> Split:
        """Read a split under the policies of this source.

        Every image is decoded once, at low resolution: a damaged one is found now, not when it is
        used.

        Args:
            split: ``train``, ``dev`` or ``test``.
            regions: source of the candidates of every image.

        Raises:
            InputError: a file or folder is missing or bad and no policy forgives it.
        """
        self._demand(split)
        blocks = self.blocks(split)
        kept = self._without_leaked(split, blocks)
        dropped = len(blocks) - len(kept)
        examples, report = assemble(
            kept[: self.limit],
            split=split,
            xml_dir=self.xmls,
            image_dir=self.images,
            image_advice=self.image_advice,
            regions=regions,
            missing_image=self.missing_image,
            bad_input=self.bad_input,
        )
        return Split(name=split, examples=examples, report=replace(report, leaked_dropped=dropped))

    def pictures(self, split: Split) -> Pictures:
        """Where the images of a split come from."""
        if self.foreign is None:
            return picture_of
        return self.foreign.pictures(split.name, split.examples)

    def blocks(self, split: str) -> tuple[Block, ...]:
        """The text side of a split, all of it.

        Raises:
            InputError: the file is missing or has a fault.
        """
        return read_blocks(
            self._text(split), tag_column=self.tag_column, types=self.types, renamed=self.renamed
        )

    def missing(self) -> tuple[str, ...]:
        """One line per absent folder or text file, and where to get it."""
        if self.world is None and not self.folder.is_dir():
            origin = f"; {self.origin}" if self.origin else ""
            return (located(self.folder, "no such folder", f"set data.root{origin}"),)
        origin = self.origin
        lacking = [f"{split}.txt" for split in SPLITS if not self._text(split).is_file()]
        lines = []
        if lacking:
            there = [p.name for p in self.texts.iterdir()] if self.texts.is_dir() else []
            what = f"lacks {', '.join(near_names(lacking, there))}"
            lines.append(located(self.texts, what, origin or "add it, or set data.text_dir"))
        if self.xmls is not None and not self.xmls.is_dir():
            what = "no such folder of <id>.xml"
            lines.append(located(self.xmls, what, origin or "set data.xml_dir"))
        return tuple(lines)

    def fingerprint(self) -> str:
        """sha256 of everything that is read: texts, and each example's xml and image if present.

        Reader version, tag column, types, ``drop_leaked`` and ``foreign`` are part of it; names of
        folders and policies are not.

        Raises:
            InputError: a text file is missing or has a fault.
        """
        tags = ",".join(self.types)
        salt = f"{READER_VERSION}|{self.tag_column}|{tags}{'|no leaks' * self.drop_leaked}"
        if self.renamed:
            salt += f"|{sorted(self.renamed.items())}"
        digest = sha256((salt if self.foreign is None else f"{salt}|{self.foreign}").encode())
        for name, path in sorted(self.files()):
            if path.is_file():
                with path.open("rb") as stream:
                    content = file_digest(stream, "sha256").hexdigest()
                    digest.update(f"\n{name}|{stream.tell()}|{content}".encode())
        return digest.hexdigest()

    def files(self) -> Iterator[tuple[str, Path]]:
        """Yield the texts, and each example's xml and image, whether they are there or not.

        Each with its name in the fingerprint, which knows no folders.

        Raises:
            InputError: a text file is missing or has a fault.
        """
        for split in SPLITS:
            self._demand(split)
            yield f"txt/{split}.txt", self._text(split)
            for block in self.blocks(split):
                if self.xmls is not None:
                    yield f"xml/{block.id}.xml", self.xmls / f"{block.id}.xml"
                yield f"images/{block.id}.jpg", self.images / f"{block.id}.jpg"

    def _text(self, split: str) -> Path:
        file = self.texts / f"{split}.txt"
        other = self.texts / "valid.txt"
        return other if split == "dev" and other.is_file() and not file.is_file() else file

    def _demand(self, split: str) -> None:
        """Raise unless the folders that a split needs are there."""
        if split not in SPLITS:
            raise InputError(f"no split {split!r}; there are {', '.join(SPLITS)}")
        lacks_xml = self.xmls is not None and not self.xmls.is_dir()
        if not self._text(split).is_file() or lacks_xml:
            raise InputError(" | ".join(self.missing()))

    def _without_leaked(self, split: str, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        if not self.drop_leaked or split == "train":
            return blocks
        if not self._text("train").is_file():
            raise fault(self._text("train"), "missing", "data.drop_leaked=true compares with it")
        train = [block.words for block in self.blocks("train")]
        gone = set(leaked(train, [block.words for block in blocks]))
        return tuple(block for index, block in enumerate(blocks) if index not in gone)


def leaked(
    train: Iterable[Sequence[str]], other: Sequence[Sequence[str]], *, exactly: bool = False
) -> tuple[int, ...]:
    """Positions in ``other`` of the sentences that occur in ``train``; one without words never.

    Args:
        train: sentences, as words.
        other: sentences, as words.
        exactly: compare words as they are; by default, up to what a retweet changes.
    """
    form = "\t".join if exactly else normalised
    seen = {form(words) for words in train} - {""}
    return tuple(index for index, words in enumerate(other) if form(words) in seen)


def normalised(words: Iterable[str]) -> str:
    """Lower case, without a leading ``RT @ name :``, punctuation or spacing.

    On Twitter-GMNER v2.0 this finds 4 dev and 7 test tweets in train, where equality finds 2 and 3.
    """
    return NOT_WORD.sub(" ", RETWEET.sub("", " ".join(words).lower())).strip()
