"""The predictions of finished runs beside their gold: counts by tweet, and what rests on them."""

import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from experiments.engine.measures import Answers, Finished, Measure, sums
from gmbench.config import compose
from gmbench.construct import build_source
from gmbench.scoring.files import read_predictions
from gmbench.scoring.paired import check_pair
from gmbench.scoring.seeds import SeedDifference, compare_seeds
from gmbench.scoring.statistics import Ints, TweetTable, tweet_table
from gmbench.structures import Entity, Example

log = logging.getLogger("experiments")


class Answered:
    """Runs of one row, read when they are first asked for."""

    def __init__(self, overrides: Sequence[str]) -> None:
        self._overrides = overrides
        self._read: dict[Path, tuple[TweetTable, Answers] | None] = {}

    @cached_property
    def gold(self) -> tuple[Example, ...]:
        """The test split, read as the runs read it."""
        return build_source(compose(self._overrides)).read("test").examples

    def figure(self, measure: Measure) -> Callable[[Finished], float | None]:
        """How a run's figure is found."""
        if measure.of_answers is None:
            return measure.of
        from_answers = measure.of_answers

        def of(run: Finished) -> float | None:
            found = self._of(run)
            return None if found is None else from_answers(self.gold, found[1])

        return of

    def tables(self, runs: Sequence[Finished], task: str) -> list[Ints]:
        """Counts by tweet of the runs that have them."""
        return [getattr(found[0], task) for run in runs if (found := self._of(run)) is not None]

    def _of(self, run: Finished) -> tuple[TweetTable, Answers] | None:
        if run.folder not in self._read:
            try:
                self._read[run.folder] = self._count(run)
            except (OSError, ValueError) as fault:
                log.warning("%s: not compared: %s", run.folder, fault)
                self._read[run.folder] = None
        return self._read[run.folder]

    def _count(self, run: Finished) -> tuple[TweetTable, Answers]:
        answers = read_predictions(run.folder / "predictions.test.jsonl", self.gold)
        table = tweet_table({e.id: e.entities for e in self.gold}, answers)
        stored = run.result.metrics.mner
        if sums(table.mner) != (stored.tp, stored.pred, stored.gold):
            raise ValueError("its predictions do not give the counts of its result.json")
        return table, answers


def compared(
    mine: Answered,
    runs: Sequence[Finished],
    other: Answered,
    reference: Sequence[Finished],
    task: str,
) -> SeedDifference | None:
    """Mean F1 of some runs minus that of others, where both answer for the same tweets."""
    if not runs or not reference:
        return None
    same = runs[0].result.data.fingerprint == reference[0].result.data.fingerprint
    if not same and asked_of(mine.gold) != asked_of(other.gold):
        return None
    first, second = mine.tables(runs, task), other.tables(reference, task)
    if not first or not second:
        return None
    for table in (*first, *second):
        check_pair(table, first[0])
    return compare_seeds(first, second)


def asked_of(examples: Sequence[Example]) -> dict[str, tuple[tuple[str, ...], tuple[Entity, ...]]]:
    """Words and gold by tweet: data that differ in pictures or candidates alone ask the same."""
    return {example.id: (example.words, example.entities) for example in examples}
