"""What ``gmbench.score`` reads: gold from a file or a data folder, predictions in any format."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gmbench.data.regions import VinVL
from gmbench.data.source import DataSource
from gmbench.scoring.files import read_candidates, read_gold, read_predictions
from gmbench.scoring.importers.conll import read_conll
from gmbench.scoring.importers.imported import Imported
from gmbench.scoring.importers.index import read_index
from gmbench.scoring.importers.llm import read_llm
from gmbench.scoring.importers.surface import read_e2e, read_riveg, read_surface
from gmbench.scoring.strata import Name, names_of
from gmbench.scoring.types import COARSE, FINE, PARENTS, with_coarse_gold, with_coarse_types
from gmbench.structures import Box, Example, Prediction

Types = Literal["coarse", "fine"]
Candidates = Mapping[str, tuple[Box, ...]]

READERS: dict[str, Callable[[Path, Sequence[Example]], Imported]] = {
    "surface": read_surface,
    "e2e": read_e2e,
    "riveg": read_riveg,
    "conll": read_conll,
    "llm": read_llm,
}
FORMATS = ("gmbench", "index", *READERS)
MOST_CANDIDATES = 100


class UsageError(ValueError):
    """The command line does not make sense; one line says why."""


@dataclass(frozen=True)
class Gold:
    """What predictions are compared with.

    Attributes:
        examples: of the split.
        train_names: words of every training entity; None = not known.
    """

    examples: tuple[Example, ...]
    train_names: Collection[Name] | None = None


def gold_of_files(path: Path, train: Path | None) -> Gold:
    """Gold from JSON lines, with the training split's if it is given.

    Raises:
        FileError: a malformed line.
        OSError: a file cannot be read.
    """
    return Gold(read_gold(path), None if train is None else names_of(read_gold(train)))


def gold_of_folder(root: Path, split: str, text_dir: str | None, types: Types | None) -> Gold:
    """Gold from a folder in the layout of Twitter-GMNER; its pictures are not needed.

    Args:
        root: holds the text folder and ``xml``.
        split: ``train``, ``dev`` or ``test``.
        text_dir: None = ``txt``, or ``txt_fine`` for fine types.
        types: ``fine`` reads the second column of tags, anything else the first.

    Raises:
        DataError: the folder cannot be read.
    """
    fine = types == "fine"
    source = DataSource(
        name=root.name,
        root=root,
        text_dir=text_dir or ("txt_fine" if fine else "txt"),
        xml_dir="xml",
        image_dir="images",
        tag_column=2 if fine else 1,
        types={name: name for name in (PARENTS if fine else (*COARSE, *FINE))},
        missing_image="blank",
    )
    examples = source.read(split).examples
    train = source.texts / "train.txt"
    names = None
    if train.is_file():
        blocks = source.blocks("train")
        names = frozenset(b.words[e.start : e.end + 1] for b in blocks for e in b.entities)
    return Gold(examples, names)


def candidates_of(path: Path, gold: Sequence[Example]) -> Candidates:
    """Ranked candidate boxes from JSON lines, or from a folder of VinVL's ``<id>.jpg.npz``.

    Raises:
        FileError: a malformed line, or an id that is missing, unknown or there twice.
        DataError: a file of the folder is missing or damaged.
        OSError: the file cannot be read.
    """
    if not path.is_dir():
        return read_candidates(path, gold)
    source = VinVL(folder=path, k=MOST_CANDIDATES)
    found: dict[str, tuple[Box, ...]] = {}
    for example in gold:
        regions = source(id=example.id, image=None, size=example.size)
        rows = [] if regions is None else regions.boxes.tolist()
        found[example.id] = tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in rows)
    return found


def predictions_of(
    path: Path, gold: Sequence[Example], written: str, candidates: Candidates | None, none: int
) -> Imported:
    """Predictions in one of ``FORMATS``.

    Args:
        path: the file.
        gold: the examples that need predictions.
        written: the format.
        candidates: asked for by ``index``.
        none: the index that means *none* in ``index``.

    Raises:
        UsageError: ``index`` without candidates.
        FileError: the file has a fault.
        OSError: it cannot be read.
    """
    if written == "gmbench":
        return Imported(read_predictions(path, gold))
    if written != "index":
        return READERS[written](path, gold)
    if candidates is None:
        raise UsageError("--from index names candidate regions: give them by --candidates")
    return read_index(path, gold, candidates, none)


def in_coarse_types(
    gold: Gold, predictions: Mapping[str, tuple[Prediction, ...]]
) -> tuple[Gold, dict[str, tuple[Prediction, ...]]]:
    """Both with parents in place of fine types."""
    examples = tuple(replace(e, entities=with_coarse_gold(e.entities)) for e in gold.examples)
    folded = {id_: with_coarse_types(found) for id_, found in predictions.items()}
    return replace(gold, examples=examples), folded
