"""Length-grouped batches whose order is a pure function of seed and epoch."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class LengthGroupedBatches(Sampler[list[int]]):
    """Batches of examples of like length: shuffled, then sorted within pools of many batches.

    The order depends on ``(seed, epoch)`` only, never on iterator state, workers or earlier
    epochs; every example appears exactly once an epoch. The trainer calls ``set_epoch``.
    """

    def __init__(
        self, lengths: Sequence[int], *, batch_size: int, seed: int, pool_batches: int = 50
    ) -> None:
        """Keep the lengths.

        Args:
            lengths: sub-words of each example.
            batch_size: examples a batch; the last batch of an epoch may be smaller.
            seed: of the shuffle.
            pool_batches: batches a pool; more means less padding and less randomness.
        """
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
        for index in rng.permutation(len(batches)):
            yield batches[index]
