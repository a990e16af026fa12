"""Audit of a published table: which of its figures cannot come from one list of predictions.

A figure printed with d decimals stands for every value within half a unit of its last decimal. A
flag is raised where *no* values within these ranges satisfy an identity that holds for one list of
predictions counted against one gold, and carries the arithmetic that shows it. All arithmetic is
exact (fractions), so an honest table never gets a flag. The identities:

- F1 is the harmonic mean of P and R;
- tp, pred and gold are whole numbers (where ``n_gold`` is given);
- P/R is #gold/#pred, so it is the same in all tasks; with ``n_gold``, #pred itself is;
- tp of GMNER is at most that of MNER and of EEG;
- F1 over all types is the same kind of average, micro or macro, for all systems of a table;
- a stated difference is a difference of F1.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations, product
from pathlib import Path

from gmbench.core.errors import InputError, did_you_mean, fault
from gmbench.core.files import read_file
from gmbench.scoring.counting import TASKS

COLUMNS = (
    *("table", "system", "task", "type", "P", "R", "F1"),
    *("n_gold", "n_pred", "digits", "difference", "than"),
)
"""The columns of a table to audit; ``system``, ``task`` and ``F1`` are required."""
FLAGS: Mapping[str, str] = {
    "columns_swapped": "P and R are exchanged: an earlier table has these numbers the other way",
    "permuted": "the column headed F1 holds P or R, and another column holds F1",
    "average_like": "F1 is close to, but not, what P and R give: an average over runs or types",
    "inconsistent": "contradicts other numbers of the table, in whatever order they are read",
    "counts": "no whole numbers of true positives and predictions give these figures",
    "one_list": "the tasks imply different numbers of predictions: not one list against one gold",
    "order": "GMNER has more true positives than MNER or EEG, which each contain them",
    "mixed_average": "the average over types is not the micro average that others of the table are",
}
"""Every flag and what it means."""
NEAR = Fraction(1, 10)
"""Greatest distance, in points, at which an F1 that does not fit is still like an average."""
PREDICTED = (Fraction(1, 10), Fraction(19, 10))
"""Least and greatest number of predictions of a type per gold entity that bound a micro average."""
ENDLESS = 1 << 62
ORDERS = tuple("".join(order) for order in permutations("PRF"))
"""What three numbers may be, as headed first."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A figure in percent as printed, and the range of values that round to it.

    Attributes:
        text: verbatim.
        half: half a unit of the last decimal.
        low, high: the ends of the range, within 0..100.
    """

    text: str
    value: Fraction
    half: Fraction
    low: Fraction
    high: Fraction

    @classmethod
    def of(cls, text: str, digits: int | None = None) -> "Printed":
        """Read a figure; ``digits`` are its decimals if zeros were dropped at its end."""
        decimals = len(text.partition(".")[2]) if digits is None else digits
        value, half = Fraction(text), Fraction(1, 2 * 10**decimals)
        low, high = max(Fraction(0), value - half), min(Fraction(100), value + half)
        return cls(text, value, half, low, high)


Triple = tuple[Printed, Printed, Printed]
"""P, R and F1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The place of a figure: its table, system, task and entity type (empty: all types)."""

    table: str
    system: str
    task: str
    type: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.table, self.system, self.task.upper(), self.type)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One line of a table, in percent; None where nothing is printed."""

    key: Key
    precision: Printed | None = None
    recall: Printed | None = None
    f1: Printed | None = None
    n_gold: int | None = None
    n_pred: int | None = None

    @property
    def triple(self) -> Triple | None:
        """P, R and F1, if all three are printed."""
        if self.precision and self.recall and self.f1:
            return self.precision, self.recall, self.f1
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A stated difference: F1 of ``key`` minus F1 of the system ``than``."""

    key: Key
    difference: Printed
    than: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """What cannot be.

    Attributes:
        flag: one of ``FLAGS``.
        key: the figure; its task is empty where it is about several tasks.
        proof: the arithmetic.
        than: the other system, of a stated difference; else empty.
    """

    flag: str
    key: Key
    proof: str
    than: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The result.

    Attributes:
        rows: lines with figures.
        differences: stated differences that were checked.
        flags: in the order of the table; those of differences last.
        readings: by place of each line with all three, what the numbers headed P, R and F1 are:
            ``PRF`` as headed, ``?`` where it is open.
    """

    rows: int
    differences: int
    flags: tuple[Flag, ...]
    readings: Mapping[str, str]


def audit(rows: Sequence[Scores], stated: Sequence[Stated] = ()) -> Audit:
    """Audit the lines of one or more tables.

    Where two tables print the same system and task, the earlier one is the source of the later.

    Raises:
        InputError: a difference is stated to a system that has no such line.
    """
    by_key = {row.key: row for row in rows}
    readings, flags = _readings(rows)
    views = {row.key: _views(row, readings.get(row.key)) for row in rows}
    flags += _joint(rows, views)
    flags += _averages(rows)
    place = {key: number for number, key in enumerate(by_key)}
    flags.sort(key=lambda flag: place.get(flag.key, -1) if flag.key.task else len(place))
    mixed = {flag.key for flag in flags if flag.flag == "mixed_average"}
    for one in stated:
        found = _difference(one, by_key, readings, mixed)
        if found is not None:
            flags.append(found)
    return Audit(
        rows=len(rows),
        differences=len(stated),
        flags=tuple(flags),
        readings={str(key): order for key, order in readings.items()},
    )


# What each number of a line is: F1 against P and R.
def f1_range(p: Printed, r: Printed) -> tuple[Fraction, Fraction]:
    """Least and greatest F1 of values that round to these P and R."""
    return _harmonic(p.low, r.low), _harmonic(p.high, r.high)


def _harmonic(p: Fraction, r: Fraction) -> Fraction:
    return 2 * p * r / (p + r) if p + r else Fraction(0)


def _fits(p: Printed, r: Printed, f: Printed) -> bool:
    low, high = f1_range(p, r)
    return low <= f.high and f.low <= high


def _readings(rows: Sequence[Scores]) -> tuple[dict[Key, str], list[Flag]]:
    """What the three numbers of each line are, and flags where that is not their heading."""
    orders: dict[Key, str | None] = {}
    flags: list[Flag] = []
    sources: dict[tuple[str, str, str], Scores] = {}
    for row in rows:
        if row.triple is not None:
            source = sources.setdefault((row.key.system, row.key.task, row.key.type), row)
            orders[row.key], flag = _reading(row, None if source is row else source)
            flags += [flag] if flag else []
    moved = {(f.key.table, f.key.task) for f in flags if f.flag in ("columns_swapped", "permuted")}
    # Where other lines of a column are not in the order of its heading, that of P and R is open.
    return {
        key: order or ("??F" if (key.table, key.task) in moved else "PRF")
        for key, order in orders.items()
    }, flags


def _reading(row: Scores, source: Scores | None) -> tuple[str | None, Flag | None]:
    """What the numbers headed P, R and F1 are (None: nothing but the heading says), and a flag.

    ``source`` is the line of an earlier table for the same system and task.
    """
    assert row.triple is not None
    p, r, f = row.triple
    given, has = None, ""
    if source is not None and source.triple is not None:
        same = [o for o in ORDERS if _values(_in_order(row.triple, o)) == _values(source.triple)]
        given = same[0] if same else None  # as headed, where the numbers allow it
        figures = zip(("P", "R", "F1"), source.triple, strict=True)
        has = f"; {source.key.table} has {', '.join(f'{n} {v.text}' for n, v in figures)}"
    low, high = f1_range(p, r)
    if _fits(p, r, f):
        if given in (None, "PRF"):
            return given, None
        kind = "columns_swapped" if given.endswith("F") else "permuted"
        return given, Flag(flag=kind, key=row.key, proof=f"headed P {p.text}, R {r.text}{has}")
    proof = f"P {p.text} and R {r.text} give F1 {_span(low, high)}, printed is {f.text}"
    middles = {order.index("F") for order in ORDERS if _fits(*_in_order(row.triple, order))}
    if not middles:
        if abs(_harmonic(p.value, r.value) - f.value) <= NEAR:
            return None, Flag(flag="average_like", key=row.key, proof=proof)
        proof += f"; no other order fits{has}"
        return "???", Flag(flag="inconsistent", key=row.key, proof=proof)
    order = given or "???"
    if given is None and len(middles) == 1:
        order = "".join("F" if place in middles else "?" for place in range(3))
    if "F" in order:
        proof += f"; {row.triple[order.index('F')].text} fits as F1 of the other two"
    return order, Flag(flag="permuted", key=row.key, proof=proof + has)


def _in_order(triple: Triple, order: str) -> Triple:
    """P, R and F1 of three numbers, of which ``order`` says what each is."""
    p, r, f = (triple[order.index(letter)] for letter in "PRF")
    return p, r, f


def _values(triple: Triple) -> list[Fraction]:
    return [figure.value for figure in triple]


def _views(row: Scores, reading: str | None) -> list[Scores]:
    """The line with its numbers where they belong: several views where that is open, or none."""
    if row.triple is None or reading is None:
        return [row]
    views = []
    for order in ORDERS:
        if all(known in ("?", letter) for known, letter in zip(reading, order, strict=True)):
            p, r, f = _in_order(row.triple, order)
            view = replace(row, precision=p, recall=r, f1=f)
            if _fits(p, r, f):
                views.append(view)
            elif reading != "???":  # like an average, which no counts need give
                views.append(replace(view, f1=None, n_gold=None))
    return views


# One list of predictions against one gold: whole numbers, and the tasks together.
def sizes(row: Scores) -> list[tuple[int, int, int]]:
    """Every possible tp of a line, with the least and greatest number of predictions.

    ``n_gold`` must be given. Where R is not printed, nothing is excluded cheaply and the list has
    a place for every tp up to ``n_gold``.
    """
    gold = row.n_gold
    assert gold is not None
    first, last = 0, gold
    if row.recall:
        first = max(math.ceil(row.recall.low * gold / 100), int(row.recall.low > 0))
        last = math.floor(row.recall.high * gold / 100)
    found = []
    for tp in range(first, last + 1):
        least, most = tp, ENDLESS
        if row.n_pred is not None:
            least, most = max(tp, row.n_pred), row.n_pred
        for figure, times, of_gold in ((row.precision, 100, 0), (row.f1, 200, gold)):
            if figure is None:
                continue
            # times * tp / (pred + of_gold) lies between low and high.
            if figure.high * (least + of_gold) < times * tp:
                least = math.ceil(times * tp / figure.high) - of_gold if figure.high else ENDLESS
            if figure.low > 0:
                most = min(most, math.floor(times * tp / figure.low) - of_gold if tp else -1)
        if least <= most:
            found.append((tp, least, most))
    return found


def _joint(rows: Sequence[Scores], views: Mapping[Key, list[Scores]]) -> list[Flag]:
    """Flags of whole numbers, of different numbers of predictions, and of the order of tasks."""
    flags: list[Flag] = []
    groups: dict[Key, list[Scores]] = {}
    for row in rows:
        groups.setdefault(replace(row.key, task=""), []).append(row)
    for key, group in groups.items():
        choices = []
        for row in group:
            mine = [v for v in views[row.key] if v.recall]
            counted = [v for v in mine if v.n_gold is None or sizes(v)]
            if mine and not counted:
                flags.append(Flag(flag="counts", key=row.key, proof=_no_counts(mine[0])))
            elif counted:
                choices.append(counted)
        if len(choices) > 1:
            faults = [_together(list(choice)) for choice in product(*choices)]
            if all(faults) and faults[0] is not None:
                kind, proof = faults[0]
                open_ = ", in whatever order P and R are read" if len(faults) > 1 else ""
                flags.append(Flag(flag=kind, key=key, proof=f"{proof}{open_}"))
    return flags


def _no_counts(row: Scores) -> str:
    assert row.recall is not None
    assert row.n_gold is not None
    low, high = (end * row.n_gold / 100 for end in (row.recall.low, row.recall.high))
    tps = range(math.ceil(low), math.floor(high) + 1)
    proof = f"R {row.recall.text} of {row.n_gold} gold entities: tp {_span(low, high)}"
    if not tps:
        return f"{proof}, no whole number"
    figures = [f"{n} {v.text}" for n, v in (("P", row.precision), ("F1", row.f1)) if v]
    of = f" of {row.n_pred}" if row.n_pred is not None else ""
    shown = str(tps[0]) if len(tps) == 1 else f"{tps[0]} to {tps[-1]}"
    proof = f"{proof}, so {shown}; no whole number of predictions{of} then gives"
    return f"{proof} {' and '.join(figures)}"


def _together(group: Sequence[Scores]) -> tuple[str, str] | None:
    """The flag and its proof where several tasks do not fit one list of predictions."""
    by_task = {row.key.task: row for row in group}
    ratios = {t: _ratio(row) for t, row in by_task.items() if row.precision and row.recall}
    if ratios and max(low for low, _ in ratios.values()) > min(high for _, high in ratios.values()):
        return "one_list", "P/R is " + ", ".join(
            f"{_span(low, high)} for {task.upper()}" for task, (low, high) in ratios.items()
        )
    whole = by_task.pop("gmner", None)
    for name in ("precision", "recall", "f1"):
        for task, row in by_task.items() if whole else ():
            mine, other = getattr(whole, name), getattr(row, name)
            if mine and other and mine.low > other.high:
                shown = name[0].upper() if name != "f1" else "F1"
                return "order", f"{shown} {mine.text} of GMNER > {other.text} of {task.upper()}"
    counted = [row for row in group if row.n_gold is not None]
    if len(golds := {row.n_gold for row in counted}) > 1:
        return "one_list", f"n_gold is {' and '.join(map(str, sorted(golds, key=str)))}"
    return _common(counted) if len(counted) > 1 else None


def _common(group: Sequence[Scores]) -> tuple[str, str] | None:
    """The flag and its proof where no number of predictions serves all tasks."""
    found = {row.key.task: sizes(row) for row in group}
    shared = False
    for pred in {least for options in found.values() for _, least, _ in options}:
        fit = {t: [tp for tp, a, b in options if a <= pred <= b] for t, options in found.items()}
        if all(fit.values()):
            shared = True
            others = (max(tps) for task, tps in fit.items() if task != "gmner")
            if "gmner" not in fit or min(fit["gmner"]) <= min(others, default=ENDLESS):
                return None
    shown = "; ".join(
        f"{task.upper()} " + " or ".join(f"{tp} of {least} to {most}" for tp, least, most in some)
        for task, some in found.items()
    )
    return "order" if shared else "one_list", f"possible tp and numbers of predictions: {shown}"


def _ratio(row: Scores) -> tuple[Fraction, Fraction]:
    """Least and greatest P/R."""
    p, r = row.precision, row.recall
    assert p is not None
    assert r is not None
    high = p.high / r.low if r.low else Fraction(ENDLESS)
    return (p.low / r.high if r.high else Fraction(0)), high


# Averages over types.
def micro_range(values: Sequence[Fraction], gold: Sequence[int]) -> tuple[Fraction, Fraction]:
    """Least and greatest micro F1 of types with these F1, by their number of predictions.

    F1 over all types is the mean of those of the types, each weighted by its predictions and gold
    entities together, and each type has between ``PREDICTED`` times as many predictions as gold
    entities. The extremes give all types below a certain F1 the one bound and all above the other.
    """
    order = sorted(range(len(values)), key=lambda n: values[n])
    ends: list[list[Fraction]] = []
    for below, above in (PREDICTED[::-1], PREDICTED):
        means = []
        for cut in range(len(order) + 1):
            weights = [
                gold[n] * (1 + (below if place < cut else above)) for place, n in enumerate(order)
            ]
            total = sum((w * values[n] for w, n in zip(weights, order, strict=True)), Fraction(0))
            means.append(total / sum(weights))
        ends.append(means)
    return min(ends[0]), max(ends[1])


def _averages(rows: Sequence[Scores]) -> list[Flag]:
    types: dict[Key, list[Scores]] = {}
    for row in rows:
        if row.key.type and row.f1:
            types.setdefault(replace(row.key, type=""), []).append(row)
    kinds: dict[tuple[str, str], dict[Key, tuple[str, str]]] = {}
    for row in rows:
        parts = types.get(row.key, [])
        if row.f1 and len(parts) > 1 and all(part.n_gold for part in parts):
            column = kinds.setdefault((row.key.table, row.key.task), {})
            column[row.key] = _average(row, parts)
    flags = []
    for column in kinds.values():
        micro = [key.system for key, (kind, _) in column.items() if kind == "micro"]
        for key, (kind, proof) in column.items():
            if kind == "neither" or (kind == "macro" and micro):
                beside = f"; {' and '.join(micro)}: micro averages" if micro else ""
                flags.append(Flag(flag="mixed_average", key=key, proof=f"{proof}{beside}"))
    return flags


def _average(row: Scores, parts: Sequence[Scores]) -> tuple[str, str]:
    """``micro``, ``macro``, ``either`` or ``neither``, and the arithmetic."""
    figures = [part.f1 for part in parts if part.f1]
    gold = [part.n_gold for part in parts if part.n_gold]
    assert row.f1 is not None
    values = [figure.value for figure in figures]
    slack = max(figure.half for figure in figures)
    mean = sum(values, Fraction(0)) / len(values)
    is_macro = abs(mean - row.f1.value) <= slack + row.f1.half
    low, high = micro_range(values, gold)
    is_micro = low - slack <= row.f1.high and row.f1.low <= high + slack
    bounds = " to ".join(f"{100 * float(share):.0f}" for share in PREDICTED)
    proof = (
        f"{row.f1.text} is {'' if is_macro else 'not '}the mean of its {len(parts)} rows "
        f"({float(mean):.2f}); a micro average of them is {_span(low, high, 2)} if each type has "
        f"{bounds} % as many predictions as gold entities"
    )
    return ("either" if is_micro else "macro") if is_macro else (
        "micro" if is_micro else "neither"
    ), proof


# Stated differences.
def _difference(
    stated: Stated,
    rows: Mapping[Key, Scores],
    readings: Mapping[Key, str],
    mixed: Iterable[Key],
) -> Flag | None:
    first = stated.key
    second = _other(stated, rows)
    one, two = (_f1_of(rows[key], readings) for key in (first, second))
    if one is None or two is None:
        return None
    said, found = stated.difference, one.value - two.value
    proof = f"{one.text} - {two.text} is {float(found):.2f}"
    if abs(found - said.value) > one.half + two.half + said.half:
        proof += f", not {said.text}"
        for letter, figure in zip(("P", "R", "F1"), rows[second].triple or (), strict=False):
            if figure is not two and abs(one.value - figure.value) == abs(said.value):
                proof += f"; {said.text} is {one.text} - {figure.text}, headed {letter} but not F1"
        return Flag(flag="inconsistent", key=first, proof=proof, than=stated.than)
    if hit := next((key for key in (first, second) if key in mixed), None):
        proof += f", between two kinds of average: see {hit}"
        return Flag(flag="mixed_average", key=first, proof=proof, than=stated.than)
    return None


def _other(stated: Stated, rows: Mapping[Key, Scores]) -> Key:
    """The line of the system ``than``: in the same table, else in the first that has one."""
    own = replace(stated.key, system=stated.than)
    others = (
        key for key in rows if replace(key, table="") == replace(own, table="") and rows[key].f1
    )
    found = own if own in rows else next(others, None)
    if found is None:
        known = {key.system for key in rows}
        hint = did_you_mean(stated.than, known - {stated.than})
        raise InputError(f"{stated.key}: no line of {own} to take the difference to{hint}")
    return found


def _f1_of(row: Scores, readings: Mapping[Key, str]) -> Printed | None:
    if row.triple is None:
        return row.f1
    place = readings[row.key].find("F")
    return None if place < 0 else row.triple[place]


def _span(low: Fraction, high: Fraction, digits: int = 4) -> str:
    return f"{float(low):.{digits}f} to {float(high):.{digits}f}"


# The file.
def read_table(path: Path) -> tuple[tuple[Scores, ...], tuple[Stated, ...]]:
    """The lines and the stated differences of a CSV file with ``COLUMNS``.

    Raises:
        InputError: a column or value is not as described in docs/audit.md.
        OSError: the file cannot be read.
    """
    reader = csv.DictReader(io.StringIO(read_file(path).decode("utf-8-sig")), skipinitialspace=True)
    heads = [head or "" for head in reader.fieldnames or ()]
    for head in heads:
        if head not in COLUMNS:
            hint = did_you_mean(head, COLUMNS) or f"; columns: {', '.join(COLUMNS)}"
            raise fault(path, f"unknown column {head!r}{hint}", line=1)
    if absent := [head for head in ("system", "task", "F1") if head not in heads]:
        raise fault(path, f"no column {', '.join(absent)}", line=1)
    rows: dict[Key, Scores] = {}
    stated = []
    for cells in reader:
        line = _Line(path, reader.line_num, {k: (v or "").strip() for k, v in cells.items() if k})
        if not any(line.cells.values()):
            continue
        if None in cells:
            raise line.fault("more cells than columns")
        key, row, difference = line.read()
        if difference is not None:
            stated.append(difference)
        if row is None:
            continue
        if key in rows:
            raise line.fault(f"{key} stands twice")
        rows[key] = row
    if not rows:
        raise fault(path, "no line with figures")
    shown = [v.value for row in rows.values() for v in (row.precision, row.recall, row.f1) if v]
    if 0 < max(shown) <= 1:
        raise fault(path, "all figures lie in 0..1", "give them in percent")
    for one in stated:
        if one.key not in rows:
            raise fault(path, f"a difference of {one.key}, which has no line with figures")
    return tuple(rows.values()), tuple(stated)


@dataclass(frozen=True, slots=True)
class _Line:
    path: Path
    number: int
    cells: Mapping[str, str]

    def fault(self, what: str) -> InputError:
        return fault(self.path, what, line=self.number)

    def read(self) -> tuple[Key, Scores | None, Stated | None]:
        cell = self.cells.get
        task = self.cells["task"].lower()
        if task not in TASKS:
            known = f"; tasks: {', '.join(TASKS)}"
            raise self.fault(f"task {task!r} is unknown{did_you_mean(task, TASKS) or known}")
        if not self.cells["system"]:
            raise self.fault("no system")
        key = Key(
            table=cell("table", ""), system=self.cells["system"], task=task, type=cell("type", "")
        )
        digits = self._whole("digits")
        p, r, f = (self._figure(name, digits) for name in ("P", "R", "F1"))
        gold, pred = self._whole("n_gold"), self._whole("n_pred")
        difference = self._figure("difference", digits)
        if (difference is None) != (not cell("than")):
            raise self.fault("difference and than belong together")
        stated = None
        if difference is not None:
            stated = Stated(key=key, difference=difference, than=self.cells["than"])
        row = None
        if p or r or f:
            row = Scores(key=key, precision=p, recall=r, f1=f, n_gold=gold, n_pred=pred)
        elif stated is None:
            raise self.fault("neither P, R, F1 nor a difference")
        return key, row, stated

    def _figure(self, name: str, digits: int | None) -> Printed | None:
        text = self.cells.get(name, "")
        if not text:
            return None
        sign = "[+-]?" if name == "difference" else ""
        if not re.fullmatch(rf"{sign}\d{{1,3}}(\.\d{{1,9}})?", text, re.ASCII):
            raise self.fault(f"{name} {text!r} is not a figure in percent, such as 58.76")
        figure = Printed.of(text, digits)
        if abs(figure.value) > 100:
            raise self.fault(f"{name} {text} does not lie in 0..100")
        if digits is not None and len(text.partition(".")[2]) > digits:
            raise self.fault(f"{name} {text} has more than {digits} digits")
        return figure

    def _whole(self, name: str) -> int | None:
        text = self.cells.get(name, "")
        if text and not re.fullmatch(r"\d{1,9}", text, re.ASCII):
            raise self.fault(f"{name} {text!r} is not a whole number")
        return int(text) if text else None
