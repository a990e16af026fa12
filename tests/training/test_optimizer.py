"""Groups, schedule, freezing and precision, on the tiny encoders."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gmbench.config.schema import Optim
from gmbench.nn.text import tiny_text
from gmbench.nn.vision import tiny_vision
from gmbench.objective.costs import TypeCost
from gmbench.objective.decode import Decoder
from gmbench.objective.losses import SetLoss
from gmbench.objective.matcher import HungarianMatcher
from gmbench.training.module import GroundedModule
from gmbench.training.optimizer import (
    build_optimizer,
    build_schedule,
    parameters_by_part,
    without_gradient,
)
from gmbench.training.trainer import resolve_precision

SETTINGS = Optim(
    lr_encoder=1e-4, lr_head=1e-3, weight_decay=0.1, warmup=0.1, clip=1.0, freeze_epochs=2
)


class Toy(nn.Module):
    """A text encoder that learns, a vision encoder that does not, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.text_encoder = tiny_text(pretrained=False)
        self.vision_encoder = tiny_vision(pretrained=False).requires_grad_(False)
        self.head = nn.Linear(4, 4)


@pytest.fixture(scope="module")
def toy():
    return Toy()


def names(model: nn.Module) -> frozenset[str]:
    return frozenset(n for n, p in model.named_parameters() if p.requires_grad)


def module(model: nn.Module) -> GroundedModule:
    return GroundedModule(
        model=model,
        loss=SetLoss(matcher=HungarianMatcher(terms={"type": TypeCost()}), terms={}),
        decoder=Decoder(types=("A",)),
        optim=SETTINGS,
        metrics={},
    )


def test_each_parameter_is_in_the_right_group_once(toy):
    optimizer = build_optimizer(toy, SETTINGS, names(toy))
    rates = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert id(parameter) not in rates
            rates[id(parameter)] = (group["lr"], group["weight_decay"])
    for name, parameter in toy.named_parameters():
        if not parameter.requires_grad:
            assert id(parameter) not in rates
            continue
        rate = 1e-3 if name.startswith("head") else 1e-4
        assert rates[id(parameter)] == (rate, 0.1 if parameter.ndim >= 2 else 0.0)


def test_warm_up_then_linear_decay(toy):
    optimizer = build_optimizer(toy, SETTINGS, names(toy))
    schedule = build_schedule(optimizer, SETTINGS, steps=100)
    found = []
    for _ in range(100):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    head = max(found)
    assert head == pytest.approx(1e-3)
    assert found[0] == 0.0
    assert found[5] == pytest.approx(5e-4)
    assert found[10] == pytest.approx(1e-3)
    assert found[55] == pytest.approx(5e-4)
    assert schedule.get_last_lr()[0] == 0.0


def test_staged_freezing_and_frozen_towers_stay_frozen(toy):
    training = module(toy)
    for epoch, learns in ((0, False), (1, False), (2, True), (3, True)):
        training._trainer = SimpleNamespace(current_epoch=epoch)
        training.on_train_epoch_start()
        assert all(p.requires_grad == learns for p in toy.text_encoder.parameters())
        assert not any(p.requires_grad for p in toy.vision_encoder.parameters())
        assert all(p.requires_grad for p in toy.head.parameters())
        assert toy.text_encoder.training == learns
        assert not toy.vision_encoder.training
        assert toy.head.training


def test_parameters_by_part_add_up(toy):
    parts = parameters_by_part(toy, names(toy))
    assert [p.name for p in parts] == ["text_encoder", "vision_encoder", "head"]
    assert sum(p.total for p in parts) == sum(p.numel() for p in toy.parameters())
    vision = parts[1]
    assert vision.trainable == 0
    assert parts[2].trainable == parts[2].total == 20


@pytest.mark.parametrize(
    ("precision", "accelerator", "found"),
    [
        ("auto", "cpu", "32-true"),
        ("bf16-mixed", "cpu", "bf16-mixed"),
        ("32-true", "auto", "32-true"),
    ],
)
def test_precision_follows_the_device(precision, accelerator, found):
    assert resolve_precision(precision, accelerator) == found


@pytest.mark.gpu
def test_a_gpu_trains_in_bf16():
    if torch.cuda.is_available() and torch.cuda.is_bf16_supported():
        assert resolve_precision("auto", "auto") == "bf16-mixed"


class Partly(nn.Module):
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
    model = Partly()
    model(torch.ones(1, 2)).sum().backward()
    assert without_gradient(model) == ("other", "words.1", "unread")


def test_nothing_is_named_where_all_learn():
    model = nn.Linear(2, 2)
    model(torch.ones(1, 2)).sum().backward()
    assert without_gradient(model) == ()
