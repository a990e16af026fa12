"""A data set on disk: where its parts lie, what its tags mean, what to do about faults."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol

from gmbench.core.entities import Example
from gmbench.core.errors import TEXT_ORIGIN, InputError, fault, located
from gmbench.data.bio import READER_VERSION, Block, read_blocks
from gmbench.data.examples import Policies, ReadReport, Split, assemble
from gmbench.data.images import Pictures, picture_of
from gmbench.data.regions import RegionSource

# Texts of dev and test that training has seen: exactly, or up to what a retweet changes.
RETWEET = re.compile(r"^rt @ \S+( _)?( :)?")
NOT_WORD = re.compile(r"[\W_]+")


def normalised(words: Iterable[str]) -> str:
    """Lower case, without a leading ``RT @ name :``, punctuation or spacing.

    On Twitter-GMNER v2.0 this finds 4 dev and 7 test tweets in train, where equality finds 2 and 3.
    """
    return NOT_WORD.sub(" ", RETWEET.sub("", " ".join(words).lower())).strip()


def exact(words: Iterable[str]) -> str:
    """The words as they stand, joined so that no two sentences become one."""
    return "\t".join(words)


def leaked(
    train: Iterable[Sequence[str]], other: Sequence[Sequence[str]], *, exactly: bool = False
) -> tuple[int, ...]:
    """Positions in ``other`` of the sentences that ``train`` has too; a text of no word never."""
    form = exact if exactly else normalised
    seen = {form(words) for words in train} - {""}
    return tuple(index for index, words in enumerate(other) if form(words) in seen)


# One hash that says which data a number was measured on.
CHUNK = 1 << 20


def fingerprint(files: Iterable[tuple[str, Path]], *, salt: str) -> str:
    """sha256 over sorted ``(name, size, sha256)`` of files; absent ones do not count.

    Args:
        files: a name that does not depend on where the data lies (``xml/12.xml``), and the file.
        salt: what else decides what is read: reader version, tag column, types.
    """
    digest = sha256(salt.encode())
    for name, path in sorted(files):
        found = _content(path)
        if found is not None:
            digest.update(f"\n{name}|{found[0]}|{found[1]}".encode())
    return digest.hexdigest()


def _content(path: Path) -> tuple[int, str] | None:
    digest = sha256()
    size = 0
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        return None
    return size, digest.hexdigest()


__all__ = ["SPLITS", "DataSource", "ReadReport", "Split", "World"]

SPLITS = ("train", "dev", "test")


class World(Protocol):
    """A data set that the project can make itself."""

    def ensure(self, root: Path) -> Path:
        """Make the data below ``root`` unless it is there, and say in which folder."""
        ...


class Foreign(Protocol):
    """What is done to pictures on purpose, to see whether a model stands it; its ``repr`` says."""

    def pictures(self, split: str, examples: Sequence[Example]) -> Pictures:
        """What shows the picture of each of these examples of a split."""
        ...


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """A data set in the layout of Twitter-GMNER: BIO text, one xml and one jpg a tweet.

    Attributes:
        name: as it stands in results.
        root: folder that the other folders are relative to.
        text_dir: holds ``train.txt``, ``dev.txt``, ``test.txt``.
        xml_dir: holds ``<id>.xml`` of the tweets with a groundable entity.
        image_dir: holds ``<id>.jpg``.
        tag_column: column of the tags in the text, 1 = first after the word.
        types: tag -> name in prompts; their order gives the classes 1, 2, ...
        missing_image: ``error``, or ``blank``: go without the images that are not there.
        bad_input: ``error``, or ``mask``: leave bad images, xml and candidates out, counted.
        drop_leaked: leave dev and test tweets out whose text occurs in train (normalised).
        limit: only the first so many tweets of a split.
        world: makes the data where it is a built-in world.
        foreign: pastes pieces of other pictures in (foreign.py); none = pictures as they are.

    Raises:
        ValueError: an attribute has a value that it cannot have.
    """

    name: str
    root: Path
    text_dir: str
    xml_dir: str
    image_dir: str
    tag_column: int
    types: Mapping[str, str]
    missing_image: Literal["error", "blank"] = "error"
    bad_input: Literal["error", "mask"] = "error"
    drop_leaked: bool = False
    limit: int | None = None
    world: World | None = None
    foreign: Foreign | None = None

    def __post_init__(self) -> None:
        # Configuration files give strings and their own kind of mapping.
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "types", {str(tag): str(name) for tag, name in self.types.items()})
        for key, value, allowed in (
            ("missing_image", self.missing_image, ("error", "blank")),
            ("bad_input", self.bad_input, ("error", "mask")),
        ):
            if value not in allowed:
                raise ValueError(f"data.{key} must be {' or '.join(allowed)}, not {value!r}")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"data.limit must be at least 1 or null, not {self.limit}")
        if self.tag_column < 1:
            raise ValueError(f"data.tag_column must be at least 1, not {self.tag_column}")
        if not self.types:
            raise ValueError("data.types is empty: name at least one type")

    @property
    def synthetic(self) -> bool:
        """Whether this is a built-in world: never ranked with real data."""
        return self.world is not None

    @cached_property
    def folder(self) -> Path:
        """Where the data lies; a built-in world is made at the first question."""
        return self.root if self.world is None else self.world.ensure(self.root)

    @property
    def texts(self) -> Path:
        """Folder of the BIO files."""
        return self.folder / self.text_dir

    @property
    def xmls(self) -> Path:
        """Folder of the annotations."""
        return self.folder / self.xml_dir

    @property
    def images(self) -> Path:
        """Folder of the pictures."""
        return self.folder / self.image_dir

    def read(
        self, split: str, regions: RegionSource | None = None, verify_images: bool = False
    ) -> Split:
        """Read a split under the policies of this source.

        Args:
            split: ``train``, ``dev`` or ``test``.
            regions: asked for the candidates of every image that is there.
            verify_images: decode every image in full now; otherwise only headers are read and a
                truncated file is found when it is used.

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
            regions=regions,
            policies=Policies(
                missing_image=self.missing_image,
                bad_input=self.bad_input,
                verify_images=verify_images,
            ),
        )
        return Split(name=split, examples=examples, report=replace(report, leaked_dropped=dropped))

    def pictures(self, split: Split) -> Pictures:
        """Where the pictures of a split come from."""
        if self.foreign is None:
            return picture_of
        return self.foreign.pictures(split.name, split.examples)

    def blocks(self, split: str) -> tuple[Block, ...]:
        """The text side of a split, all of it.

        Raises:
            InputError: the file is missing or has a fault.
        """
        return read_blocks(self._text(split), tag_column=self.tag_column, types=self.types)

    def missing(self) -> tuple[str, ...]:
        """One line for each folder or text file that is not there, and where it comes from."""
        if self.world is None and not self.folder.is_dir():
            return (located(self.folder, "no such folder", f"set data.root; {TEXT_ORIGIN}"),)
        lacking = [f"{split}.txt" for split in SPLITS if not self._text(split).is_file()]
        found = []
        if lacking:
            found.append(located(self.texts, f"lacks {', '.join(lacking)}", TEXT_ORIGIN))
        if not self.xmls.is_dir():
            found.append(located(self.xmls, "no such folder of <id>.xml", TEXT_ORIGIN))
        return tuple(found)

    def fingerprint(self) -> str:
        """sha256 of everything that is read: text, and each tweet's xml and image if there.

        Tag column, types, ``drop_leaked`` and ``foreign`` are part of it, folders' names and
        policies are not.

        Raises:
            InputError: a text file is missing or has a fault.
        """
        files: list[tuple[str, Path]] = []
        for split in SPLITS:
            self._demand(split)
            files.append((f"txt/{split}.txt", self._text(split)))
            for block in self.blocks(split):
                files.append((f"xml/{block.id}.xml", self.xmls / f"{block.id}.xml"))
                files.append((f"images/{block.id}.jpg", self.images / f"{block.id}.jpg"))
        tags = ",".join(self.types)
        salt = f"{READER_VERSION}|{self.tag_column}|{tags}{'|no leaks' * self.drop_leaked}"
        return fingerprint(files, salt=salt if self.foreign is None else f"{salt}|{self.foreign}")

    def _text(self, split: str) -> Path:
        return self.texts / f"{split}.txt"

    def _demand(self, split: str) -> None:
        """Raise unless the folders that a split needs are there."""
        if split not in SPLITS:
            raise InputError(f"no split {split!r}; there are {', '.join(SPLITS)}")
        if not self._text(split).is_file() or not self.xmls.is_dir():
            raise InputError(" | ".join(self.missing()))

    def _without_leaked(self, split: str, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        if not self.drop_leaked or split == "train":
            return blocks
        if not self._text("train").is_file():
            raise fault(self._text("train"), "missing", "data.drop_leaked=true compares with it")
        train = [block.words for block in self.blocks("train")]
        gone = set(leaked(train, [block.words for block in blocks]))
        return tuple(block for index, block in enumerate(blocks) if index not in gone)
