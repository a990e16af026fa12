"""The canonical strict protocol, counted in integers.

A prediction may be right in three ways, each counted separately: *GMNER* (span, type and region),
*MNER* (span and type) and *EEG* (span and region). Per document and task, ``tp`` is the size of a
maximum one-to-one matching between compatible predictions and gold entities, so neither order nor
repetition can change it. Compatible pairs have equal spans in all three tasks: the matching is
exact when it is solved span by span, and nearly always trivial there.

Counts add up over documents (micro). No torch, no configuration.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gmbench.core.entities import Box, Entity, Prediction
from gmbench.core.iou import iou, pairwise_iou


def region_right(box: Box | None, boxes: Sequence[Box], iou_threshold: float = 0.5) -> bool:
    """Whether a predicted region is right: None if there is no gold box, else IoU with any of them.

    A box without area is still a box: never *none*, and always wrong.
    """
    if box is None:
        return not boxes
    return any(iou(box, gold) >= iou_threshold for gold in boxes)


def regions_right(
    guesses: Sequence[Prediction], entities: Sequence[Entity], iou_threshold: float = 0.5
) -> NDArray[np.bool_]:
    """``region_right`` of every prediction and gold entity: ``[P, G]``."""
    if len(guesses) * len(entities) <= FEW_BOXES:
        pairs = [[region_right(p.box, e.boxes, iou_threshold) for e in entities] for p in guesses]
        return np.asarray(pairs, dtype=bool).reshape(len(guesses), len(entities))
    boxless = np.asarray([p.box is None for p in guesses], dtype=bool)
    right: NDArray[np.bool_] = np.zeros((len(guesses), len(entities)), dtype=bool)
    right |= boxless[:, None] & np.asarray([not e.boxes for e in entities], dtype=bool)
    gold = [(g, box) for g, e in enumerate(entities) for box in e.boxes]
    boxed = np.flatnonzero(~boxless)
    if gold and len(boxed):
        owners, boxes = zip(*gold, strict=True)
        overlap = pairwise_iou([p.box for p in guesses if p.box is not None], boxes)
        rows, columns = np.nonzero(overlap >= iou_threshold)
        right[boxed[rows], np.asarray(owners)[columns]] = True
    return right


FEW_BOXES = 16
"""Pairs that are compared one by one more quickly than as arrays."""
FEW = 256
"""Pairs for which ``match`` is quicker than importing scipy; of thousands it is slower."""


def matched(right: NDArray[np.bool_]) -> int:
    """Size of a maximum one-to-one matching of rows and columns."""
    if min(right.shape) < 2:
        return int(right.any())
    if right.size <= FEW:
        return len(match([np.flatnonzero(row).tolist() for row in right]))
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    return int((maximum_bipartite_matching(csr_array(right)) >= 0).sum())


def match(edges: Sequence[Iterable[int]]) -> dict[int, int]:
    """A maximum one-to-one matching, as ``partner: i``.

    Args:
        edges: the partners that each ``i`` may take, tried in their order, depth first; whoever
            took one before moves on to the next.
    """
    rows = [tuple(row) for row in edges]
    numbers: dict[tuple[int, ...], int] = {}
    equal = [numbers.setdefault(row, len(numbers)) for row in rows]
    taken: dict[int, int] = {}
    dead: set[int] = set()  # partners from which no free one can be reached, now or later
    for first in range(len(rows)):
        seen = set(dead)
        untried: dict[int, Iterator[int]] = {}  # equal rows go on where the other stopped
        path, wanted = [first], list[int]()
        while path:
            left = path[-1]
            if (rest := untried.get(equal[left])) is None:
                rest = untried[equal[left]] = iter(rows[left])
            right = next((right for right in rest if right not in seen), None)
            if right is None:
                path.pop()
                del wanted[-1:]
                continue
            seen.add(right)
            wanted.append(right)
            if right not in taken:
                taken.update(zip(wanted, path, strict=True))
                break
            path.append(taken[right])
        else:
            dead = seen
    return taken


PROTOCOL = "strict"
PROTOCOL_VERSION = "1.0"

Task = Literal["gmner", "mner", "eeg"]
TASKS: tuple[Task, ...] = ("gmner", "mner", "eeg")
"""Every task, in the order of tables."""


@dataclass(frozen=True, slots=True)
class Counts:
    """True positives, predictions and gold entities; adds up over documents."""

    tp: int = 0
    pred: int = 0
    gold: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.tp + other.tp, self.pred + other.pred, self.gold + other.gold)

    @property
    def precision(self) -> float:
        """``tp / pred``; 0.0 without predictions."""
        return _ratio(self.tp, self.pred)

    @property
    def recall(self) -> float:
        """``tp / gold``; 0.0 without gold."""
        return _ratio(self.tp, self.gold)

    @property
    def f1(self) -> float:
        """``2 tp / (pred + gold)``; 0.0 without either."""
        return _ratio(2 * self.tp, self.pred + self.gold)


@dataclass(frozen=True, slots=True)
class Scores:
    """The counts of the three tasks, of one document or of many."""

    gmner: Counts = Counts()
    mner: Counts = Counts()
    eeg: Counts = Counts()

    def __add__(self, other: "Scores") -> "Scores":
        return Scores(self.gmner + other.gmner, self.mner + other.mner, self.eeg + other.eeg)


@dataclass(frozen=True, slots=True)
class TypeScores:
    """The counts of one entity type.

    Attributes:
        gmner: gold and predictions of this type; over all types they sum to the micro counts.
        mner: the same for MNER.
        eeg_tp: its gold entities matched by predictions of *any* type: EEG by type has a recall
            and no precision.
    """

    gmner: Counts
    mner: Counts
    eeg_tp: int

    @property
    def eeg_recall(self) -> float:
        """Share of the type's gold entities whose span and region were found."""
        return _ratio(self.eeg_tp, self.gmner.gold)


@dataclass(frozen=True, slots=True)
class CorpusScores:
    """Counts of a whole corpus: micro, and by type.

    Attributes:
        n: number of documents.
        per_type: for every type in gold or predictions, sorted by name.
    """

    n: int
    micro: Scores
    per_type: Mapping[str, TypeScores]

    def macro_f1(self, task: Literal["gmner", "mner"]) -> float:
        """Mean F1 of the types seen; secondary, to be labelled *macro* wherever it is shown."""
        values = [getattr(scores, task).f1 for scores in self.per_type.values()]
        return sum(values) / len(values) if values else 0.0


@dataclass(slots=True)
class Tally:
    """Running integers of one document or of many: cheap to add to, turned into records once.

    Attributes:
        n: number of documents.
        eeg_tp: true positives of EEG; not the sum over types, since types may share predictions.
        types: by type ``[gmner tp, mner tp, eeg tp, predictions, gold]``.
    """

    n: int = 0
    eeg_tp: int = 0
    types: dict[str, list[int]] = field(default_factory=dict)

    def row(self, name: str) -> list[int]:
        """The integers of one type, zeros at first."""
        row = self.types.get(name)
        if row is None:
            row = self.types[name] = [0, 0, 0, 0, 0]
        return row

    def add(
        self, gold: Sequence[Entity], pred: Sequence[Prediction], iou_threshold: float = 0.5
    ) -> None:
        """Count one document."""
        self.n += 1
        golds: dict[tuple[int, int], list[Entity]] = {}
        preds: dict[tuple[int, int], list[Prediction]] = {}
        for entity in gold:
            golds.setdefault((entity.start, entity.end), []).append(entity)
            self.row(entity.type)[4] += 1
        for guess in pred:
            preds.setdefault((guess.start, guess.end), []).append(guess)
            self.row(guess.type)[3] += 1
        for span, guesses in preds.items():
            entities = golds.get(span)
            if entities is None:
                continue
            if len(entities) == 1 and len(guesses) == 1:
                self._add_pair(entities[0], guesses[0], iou_threshold)
            else:
                self._add_group(entities, guesses, iou_threshold)

    def _add_pair(self, entity: Entity, guess: Prediction, iou_threshold: float) -> None:
        """The ordinary case: one prediction and one gold entity on a span."""
        row = self.types[entity.type]
        same_type = guess.type == entity.type
        row[1] += same_type
        if region_right(guess.box, entity.boxes, iou_threshold):
            row[0] += same_type
            row[2] += 1
            self.eeg_tp += 1

    def _add_group(
        self, entities: Sequence[Entity], guesses: Sequence[Prediction], iou_threshold: float
    ) -> None:
        """Several predictions or gold entities on one span: match them."""
        right = regions_right(guesses, entities, iou_threshold)  # [P, G]
        golds = np.asarray([entity.type for entity in entities])
        named = np.asarray([guess.type for guess in guesses])
        self.eeg_tp += matched(right)
        for name in dict.fromkeys(entity.type for entity in entities):
            own, row = right[:, golds == name], self.types[name]
            row[0] += matched(own[named == name])
            row[1] += min(own.shape[1], int((named == name).sum()))
            row[2] += matched(own)

    def scores(self) -> Scores:
        """The counts of the three tasks."""
        sums = [sum(column) for column in zip(*self.types.values(), strict=True)] or [0] * 5
        gmner, mner, _, pred, gold = sums
        return Scores(
            Counts(gmner, pred, gold), Counts(mner, pred, gold), Counts(self.eeg_tp, pred, gold)
        )

    def corpus(self) -> CorpusScores:
        """The counts of the three tasks and of every type."""
        per_type = {
            name: TypeScores(Counts(row[0], row[3], row[4]), Counts(row[1], row[3], row[4]), row[2])
            for name, row in sorted(self.types.items())
        }
        return CorpusScores(self.n, self.scores(), per_type)


def score_document(
    gold: Sequence[Entity], pred: Sequence[Prediction], iou_threshold: float = 0.5
) -> Scores:
    """Count one document.

    Raises:
        ValueError: the threshold does not lie in ``(0, 1]``.
    """
    _check_threshold(iou_threshold)
    tally = Tally()
    tally.add(gold, pred, iou_threshold)
    return tally.scores()


def score_corpus(
    documents: Iterable[tuple[Sequence[Entity], Sequence[Prediction]]], iou_threshold: float = 0.5
) -> CorpusScores:
    """Count pairs of gold entities and predictions, one pair per document, in any order.

    Raises:
        ValueError: the threshold does not lie in ``(0, 1]``.
    """
    _check_threshold(iou_threshold)
    tally = Tally()
    for gold, pred in documents:
        tally.add(gold, pred, iou_threshold)
    return tally.corpus()


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _check_threshold(iou_threshold: float) -> None:
    if not 0.0 < iou_threshold <= 1.0:
        raise ValueError(f"iou_threshold must lie in (0, 1], not {iou_threshold}")
