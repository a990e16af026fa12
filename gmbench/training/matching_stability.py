"""How stable the matching is: do queries keep the gold entity of the previous epoch?"""

from typing import Any

import numpy as np
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from gmbench.core.tensors import Batch

CHANGED = "train/matching_changed"


class MatchingStability(Callback):
    """Log, per epoch, the share of queries whose gold entity is not that of the previous epoch.

    Counted over training examples of both epochs, among the queries matched in either. The first
    epoch, and the first after a resume, have no value. Matchings are copied to the host once per
    step, so this is off by default (``callbacks.matching=true``).
    """

    def __init__(self) -> None:
        super().__init__()
        self.previous: dict[str, NDArray[np.int16]] = {}
        self.current: dict[str, NDArray[np.int16]] = {}
        self.changed = self.counted = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start a new epoch."""
        self.previous, self.current = self.current, {}
        self.changed = self.counted = 0

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Compare the last layer's matching with the one of the previous epoch."""
        gold = outputs["matching"].gold.cpu().numpy().astype(np.int16)  # [B, Q]
        for id_, row in zip(batch.ids, gold, strict=True):
            self.current[id_] = row
            if id_ in self.previous:
                changed, counted = moved(self.previous[id_], row)
                self.changed += changed
                self.counted += counted

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the share."""
        if self.counted:
            pl_module.log(CHANGED, self.changed / self.counted)


def moved(before: NDArray[np.int16], now: NDArray[np.int16]) -> tuple[int, int]:
    """Count the queries whose gold row changed, and those matched in either epoch.

    Args:
        before: ``[Q]`` gold rows of one example's queries, -1 for none.
        now: the same an epoch later.
    """
    matched = (now >= 0) | (before >= 0)
    return int((now != before)[matched].sum()), int(matched.sum())
