"""Two systems on the same tweets, over all tasks that both have figures for."""

from collections.abc import Sequence
from dataclasses import dataclass

from gmbench.scoring.counting import Task
from gmbench.scoring.paired import Difference, compare_f1, holm
from gmbench.scoring.statistics import LEVEL, RESAMPLES, TweetTable

TASKS: tuple[Task, ...] = ("gmner", "mner", "eeg")


@dataclass(frozen=True, slots=True)
class TaskComparison:
    """One task.

    Attributes:
        p_holm: p of the randomisation test, adjusted for the tasks compared together.
    """

    task: Task
    difference: Difference
    p_holm: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first system against the second.

    Attributes:
        n: tweets.
        resamples: of each bootstrap and of each test.
        seed: of the draws.
    """

    n: int
    resamples: int
    seed: int
    tasks: tuple[TaskComparison, ...]


def compare(
    first: TweetTable,
    second: TweetTable,
    *,
    tasks: Sequence[Task] = TASKS,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Comparison:
    """Paired bootstrap and approximate randomisation of each task, Holm over the tasks.

    Args:
        first: counts of one system.
        second: counts of the other, by the same protocol.
        tasks: the family.
        resamples: of each bootstrap and of each test.
        level: of confidence.
        seed: of the draws.

    Raises:
        ValueError: the two differ in tweets or in gold.
    """
    if first.ids != second.ids:
        differ = sorted(set(first.ids) ^ set(second.ids))
        named = f"{len(differ)} ids, say {differ[0]!r}" if differ else "the order of their ids"
        raise ValueError(f"the two differ in {named}: not the same tweets")
    found = [
        compare_f1(
            getattr(first, task), getattr(second, task), resamples=resamples, level=level, seed=seed
        )
        for task in tasks
    ]
    adjusted = holm([difference.p for difference in found])
    rows = zip(tasks, found, adjusted, strict=True)
    return Comparison(len(first.ids), resamples, seed, tuple(TaskComparison(*row) for row in rows))
