"""What the papers print, as records; ``papers.py`` reads them from ``papers.yaml``.

Flags, their reasons, and what a number is where it is not what its heading says, come from the
audit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from gmbench.scoring.audit import FLAGS
from gmbench.scoring.counting import TASKS

PROTOCOLS = ("strict", "mqspn", "unknown")
VERSIONS = ("v1", "v2.0", "unknown")
AVERAGES = ("micro", "macro", "unknown")

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Method:
    """What is known of a method's published counts.

    Attributes:
        protocol: ``strict`` where they agree with ours to a few hundredths, ``mqspn``, ``unknown``.
        version: of Twitter-GMNER's regions, ``v1``, ``v2.0`` or ``unknown``.
        origin: who counted.
        note: what else a reader must know.
    """

    protocol: str
    version: str
    origin: str
    note: str | None

    def __post_init__(self) -> None:
        _one_of("protocol", self.protocol, PROTOCOLS)
        _one_of("version", self.version, VERSIONS)


@dataclass(frozen=True, slots=True)
class Column:
    """What the cells of a column are about.

    Attributes:
        task: ``gmner``, ``mner`` or ``eeg``.
        data: the data set, as ``conf/data`` names it.
        method: None where each row is a method.
        average: over types: ``micro``, ``macro`` or ``unknown``.
        full: printed F1 of the full model, from which differences are taken.
    """

    title: str
    task: str
    data: str
    method: str | None
    average: str
    full: str | None

    def __post_init__(self) -> None:
        _one_of("task", self.task, TASKS)
        _one_of("average", self.average, AVERAGES)


@dataclass(frozen=True, slots=True)
class Cell:
    """One or more numbers of a table, in percent.

    Attributes:
        printed: verbatim, in the order of the page.
        order: what each number is: P, R, F(1), D(ifference), or ``?`` where it is not certain.
        flag: ``ok``, or what is known against it, one of ``FLAGS``.
        reason: its footnote; None where there is nothing to say.
    """

    printed: str
    order: str
    flag: str
    reason: str | None

    def __post_init__(self) -> None:
        _one_of("flag", self.flag, ("ok", *FLAGS))
        if self.flag != "ok" and self.reason is None:
            raise ValueError(f"{self.flag} needs a reason")
        if len(self.values) != len(self.order) or set(self.order) - set("PRFD?"):
            raise ValueError(f"order {self.order!r} does not say what {self.printed!r} is")

    @property
    def values(self) -> tuple[float, ...]:
        """The printed numbers."""
        return tuple(float(number) for number in self.printed.split())

    @property
    def precision(self) -> float | None:
        """P, where it is certain."""
        return self._of("P")

    @property
    def recall(self) -> float | None:
        """R, where it is certain."""
        return self._of("R")

    @property
    def f1(self) -> float | None:
        """F1, where it is certain."""
        return self._of("F")

    @property
    def delta(self) -> float | None:
        """Printed difference to the full model."""
        return self._of("D")

    def _of(self, letter: str) -> float | None:
        place = self.order.find(letter)
        return None if place < 0 else self.values[place]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: a method, an entity type or a setting of an ablation.

    Attributes:
        title: as a table shows it.
        gold: gold entities of the type in the test split.
        one_list: whether P/R is the same in all tasks, as one list of predictions against one gold
            has it; None where that cannot be told.
        reason: a footnote of the whole row, or None.
    """

    title: str
    cells: Mapping[str, Cell]
    gold: int | None
    one_list: bool | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class PaperTable:
    """One table of one paper.

    Attributes:
        rows_are: ``method``, ``type`` or ``setting``; rows go by its name.
        header: the headings as printed, left to right.
    """

    paper: str
    label: str
    shows: str
    rows_are: str
    header: str
    columns: Mapping[str, Column]
    rows: Mapping[str, Row]
    notes: tuple[str, ...]

    def cell(self, row: str, column: str) -> Cell:
        """One cell.

        Raises:
            KeyError: there is no such row or column; the message names those there are.
        """
        return _pick(_pick(self.rows, row, self.label).cells, column, f"{self.label}, {row}")

    def method(self, row: str, column: str) -> str:
        """The method that a cell is about."""
        return self.columns[column].method or row


@dataclass(frozen=True, slots=True)
class Claim:
    """A difference that a text states: F1 at ``first`` minus F1 at ``second``.

    Attributes:
        value: as stated, in points.
        first: table, row and column.
        second: the same.
    """

    paper: str
    says: str
    value: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    flag: str
    reason: str | None

    def __post_init__(self) -> None:
        _one_of("flag", self.flag, ("ok", *FLAGS))


@dataclass(frozen=True, slots=True)
class Papers:
    """Every table of the two papers."""

    methods: Mapping[str, Method]
    tables: Mapping[str, PaperTable]
    claims: tuple[Claim, ...]

    def table(self, key: str) -> PaperTable:
        """One table.

        Raises:
            KeyError: there is no such table; the message names those there are.
        """
        return _pick(self.tables, key, "papers.yaml")


def _pick(items: Mapping[str, Item], key: str, where: str) -> Item:
    if key not in items:
        raise KeyError(f"{where}: no {key!r}; there are {', '.join(items)}")
    return items[key]


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
