"""What a model learns with, part by part."""

import torch
from torch import nn

from gmbench.training.optimizer import without_gradient


class Model(nn.Module):
    """The first layer and ``free`` are read; ``words.1``, ``unread`` and ``other`` are not."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        self.unread = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.free, self.other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first: nn.Module = self.words[0]
        return first(x) * self.free


def test_modules_and_parameters_without_a_gradient_are_named_once():
    model = Model()
    model(torch.ones(1, 2)).sum().backward()
    assert without_gradient(model) == ("other", "words.1", "unread")


def test_nothing_is_named_where_all_learn():
    model = nn.Linear(2, 2)
    model(torch.ones(1, 2)).sum().backward()
    assert without_gradient(model) == ()
