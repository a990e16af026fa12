"""What each part adds against what it adds to."""

import pytest
import torch
from torch import nn

from gmbench.nn.additions import Additions, added, measured
from gmbench.nn.layers import CrossBlock


class Twice(nn.Module):
    """Adds a tenth in one place and three fifths, in two layers, in another."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Identity() for _ in range(2))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        found = added(self, states, 0.1 * states, "tenth")
        for layer, share in zip(self.layers, (0.0, 0.6 * 2**0.5), strict=True):
            added(layer, states, share * states)
        return found


def test_shares_are_of_root_mean_squares_and_numbers_fall_together():
    model, additions = Twice(), Additions()
    states = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    plain = model(states)
    assert not additions.sums
    with measured(additions):
        for scale in (1.0, 4.0):  # batches of another size of states count by their squares
            model(scale * states)
    assert torch.equal(plain, states + 0.1 * states)
    shares = additions.shares(nn.ModuleDict({"part": model}))
    assert shares == {"part.tenth": pytest.approx(0.1), "part.layers": pytest.approx(0.6)}
    model(states)
    assert additions.shares(model)["tenth"] == shares["part.tenth"]  # closed


def test_a_block_that_is_silenced_is_inactive():
    block, additions = CrossBlock(width=8, heads=2), Additions()
    nn.init.zeros_(block.attention.out.weight)
    with measured(additions):
        block(torch.randn(2, 3, 8), torch.randn(2, 4, 8))
    assert additions.shares(block) == {"": 0.0}
