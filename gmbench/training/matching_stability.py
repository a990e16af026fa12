"""How settled the matching is: do queries keep the gold entity of the epoch before?"""

from typing import Any

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from gmbench.training.module import GroundedModule

CHANGED = "train/matching_changed"


class MatchingStability(Callback):
    """Logs, at each epoch's end, the share of matched queries that were matched otherwise before.

    Counted over training examples seen in both epochs: of the queries matched in either of them,
    those that answer for another gold entity, or for one in one epoch alone. The first epoch, and
    the first after a resume, have no value. Matchings are copied to the host once a step, so it is
    on demand only (``callbacks.matching=true``).
    """

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, NDArray[np.int16]] = {}
        self.now: dict[str, NDArray[np.int16]] = {}
        self.changed = self.counted = 0

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """What was seen becomes what was seen before."""
        self.before, self.now = self.now, {}
        self.changed = self.counted = 0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Compare the step's matching, of the last layer, with the examples' own of before."""
        assert isinstance(pl_module, GroundedModule)
        values = None if pl_module.step is None else pl_module.step.values
        if values is None:
            return
        gold = values.matching.gold.cpu().numpy().astype(np.int16)  # [B, Q]
        for name, row in zip(batch.ids, gold, strict=True):
            self.now[name] = row
            earlier = self.before.get(name)
            if earlier is not None:
                changed, counted = moved(earlier, row)
                self.changed += changed
                self.counted += counted

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Log the share."""
        if self.counted:
            pl_module.log(CHANGED, self.changed / self.counted)


def moved(before: NDArray[np.int16], now: NDArray[np.int16]) -> tuple[int, int]:
    """Queries matched otherwise than before, and all that are matched now or were.

    Args:
        before: ``[Q]`` gold rows of one example's queries, -1 for none.
        now: the same an epoch later.
    """
    matched = (now >= 0) | (before >= 0)
    return int((now != before)[matched].sum()), int(matched.sum())
