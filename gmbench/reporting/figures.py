"""Figures as ``result.json`` stores them: counts, and what follows from counts."""

from collections.abc import Mapping
from dataclasses import dataclass

from gmbench.scoring.counting import CorpusScores, Counts
from gmbench.scoring.floors import Floor


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFigures:
    """One task's counts, with the figures that follow from them for whoever reads the file.

    Raises:
        ValueError: the figures do not follow from the counts, or the counts are impossible.
    """

    tp: int
    pred: int
    gold: int
    precision: float  # 0..1, as the next two
    recall: float
    f1: float

    def __post_init__(self) -> None:
        if not 0 <= self.tp <= min(self.pred, self.gold):
            raise ValueError(f"tp={self.tp} of pred={self.pred} and gold={self.gold} cannot be")
        counts = Counts(self.tp, self.pred, self.gold)
        for name in ("precision", "recall", "f1"):
            stored, follows = getattr(self, name), getattr(counts, name)
            if stored != follows:
                raise ValueError(f"{name} is {stored}, but the counts give {follows}: edited?")

    @classmethod
    def of(cls, counts: Counts) -> "TaskFigures":
        """The figures of some counts."""
        return cls(
            tp=counts.tp,
            pred=counts.pred,
            gold=counts.gold,
            precision=counts.precision,
            recall=counts.recall,
            f1=counts.f1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeFigures:
    """One entity type; grounding is None where the run saw no pixels."""

    gmner: TaskFigures | None
    mner: TaskFigures
    eeg_tp: int | None  # gold entities of this type found by span and region; recall only


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The three tasks (micro), by type, and the macro means; None where no pixels were seen."""

    gmner: TaskFigures | None
    mner: TaskFigures
    eeg: TaskFigures | None
    per_type: Mapping[str, TypeFigures]
    gmner_macro_f1: float | None
    mner_macro_f1: float

    @classmethod
    def of(cls, scores: CorpusScores, *, saw_pixels: bool) -> "Metrics":
        """The figures of a corpus; without pixels, grounding is *not reported*."""
        return cls(
            gmner=TaskFigures.of(scores.micro.gmner) if saw_pixels else None,
            mner=TaskFigures.of(scores.micro.mner),
            eeg=TaskFigures.of(scores.micro.eeg) if saw_pixels else None,
            per_type={
                name: TypeFigures(
                    gmner=TaskFigures.of(row.gmner) if saw_pixels else None,
                    mner=TaskFigures.of(row.mner),
                    eeg_tp=row.eeg_tp if saw_pixels else None,
                )
                for name, row in scores.per_type.items()
            },
            gmner_macro_f1=scores.macro_f1("gmner") if saw_pixels else None,
            mner_macro_f1=scores.macro_f1("mner"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorFigures:
    """What a floor without learning reaches on the same split; None for a task it says nothing of.

    A floor needs no picture, so its grounding figures stand even where the run saw no pixels.
    """

    name: str
    gmner: TaskFigures | None
    mner: TaskFigures | None
    eeg: TaskFigures | None

    @classmethod
    def of(cls, floor: Floor, scores: CorpusScores) -> "FloorFigures":
        """The figures of a floor's predictions, for the tasks it is meant for."""
        micro = scores.micro
        return cls(
            name=floor.name,
            gmner=TaskFigures.of(micro.gmner) if "gmner" in floor.tasks else None,
            mner=TaskFigures.of(micro.mner) if "mner" in floor.tasks else None,
            eeg=TaskFigures.of(micro.eeg) if "eeg" in floor.tasks else None,
        )
