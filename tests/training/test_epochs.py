"""Epochs are counted from one, on the bar and in the lines."""

import lightning
import pytest

from gmbench.training.epochs import EpochBar


@pytest.mark.parametrize(("index", "shown"), [(0, "Epoch 1/6"), (5, "Epoch 6/6")])
def test_the_bar_counts_from_one(index, shown):
    bar = EpochBar()
    bar._trainer = lightning.Trainer(max_epochs=6, logger=False, accelerator="cpu")
    assert bar._get_train_description(index).rstrip() == shown
