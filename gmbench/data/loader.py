"""A DataLoader whose passes leave the random generators alike, however many workers it has."""

from typing import Any

import torch
from torch.utils.data import DataLoader

from gmbench.data.dataset import GroundedDataset, Item


class SteadyLoader(DataLoader[Item]):
    """Draws one number from torch's generator at the start of each pass.

    So does torch's own, but for workers that live on after a pass: dropout, and with it every loss,
    would depend on their number. Here the seeds of workers come from a generator aside.
    """

    def __init__(self, items: GroundedDataset, **settings: Any) -> None:
        super().__init__(items, generator=torch.Generator(), **settings)

    def __iter__(self) -> Any:
        draw()
        return super().__iter__()


def draw() -> None:
    """What the start of a pass takes from torch's generator."""
    torch.empty((), dtype=torch.int64).random_()
