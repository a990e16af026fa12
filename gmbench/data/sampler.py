"""Which examples go into which batch of which process: pure functions of seed and epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler


@dataclass(frozen=True)
class Share:
    """One of several processes that share every batch."""

    rank: int = 0
    processes: int = 1


ALL = Share()
"""The only process."""


class LengthGroupedBatches(Sampler[list[int]]):
    """Batches of examples of like length: shuffled, then sorted within pools of many batches.

    The order depends on ``(seed, epoch)`` only, never on iterator state, workers or earlier
    epochs; every example appears exactly once an epoch. The trainer calls ``set_epoch``.

    Of several processes each takes every n-th example of every batch, so that a batch holds the
    same examples however many there are. One exception: a batch with fewer examples than processes
    gets some from the batch before it, so that none is idle.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        batch_size: int,
        seed: int,
        pool_batches: int = 50,
        share: Share = ALL,
    ) -> None:
        """Keep the lengths.

        Args:
            lengths: sub-words of each example.
            batch_size: examples a batch, over all processes; one batch of an epoch may be smaller.
            seed: of the shuffle.
            pool_batches: batches a pool; more means less padding and less randomness.
            share: which process this is.

        Raises:
            ValueError: fewer examples, or examples a batch, than processes.
        """
        if share.processes > max(1, min(batch_size, len(lengths))):
            raise ValueError(
                f"{share.processes} processes cannot share batches of {batch_size} of "
                f"{len(lengths)} examples; use fewer processes or larger batches"
            )
        self.share = share
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.pool = pool_batches * batch_size
        self.epoch = 0

    @property
    def sampler(self) -> "LengthGroupedBatches":
        """Itself: Lightning looks for ``set_epoch`` on the sampler inside a batch sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration follows."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.lengths))
        batches: list[list[int]] = []
        for first in range(0, len(order), self.pool):
            pool = order[first : first + self.pool]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            starts = range(0, len(pool), self.batch_size)
            batches.extend(pool[i : i + self.batch_size].tolist() for i in starts)
        lacking = self.share.processes - len(batches[-1]) if batches else 0
        if lacking > 0:
            batches[-1] = batches[-2][-lacking:] + batches[-1]
            batches[-2] = batches[-2][:-lacking]
        for index in rng.permutation(len(batches)):
            yield batches[index][self.share.rank :: self.share.processes]


class EveryNth(Sampler[int]):
    """The examples that one of several processes evaluates: every n-th, none repeated.

    A process without any takes the first, so that all have a batch and none waits for ever; scores
    and predictions count an example once, whoever answered it.
    """

    def __init__(self, count: int, share: Share = ALL) -> None:
        """Keep the count.

        Args:
            count: examples there are.
            share: which process this is.
        """
        self.places = range(share.rank, count, share.processes) or range(min(1, count))

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[int]:
        return iter(self.places)
