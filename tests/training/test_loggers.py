"""Figures reach whoever was asked for: metrics.csv always, TensorBoard by one word."""

import sys

import lightning
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from gmbench.config import check, compose
from gmbench.core.errors import InputError
from gmbench.training.loggers import TENSORBOARD, MetricsFile, build_loggers
from tests.line import Line


class Kept:
    def __init__(self):
        self.points = []

    def log(self, values):
        self.points.append((values["trainer/global_step"], values["train/loss"]))


def train(folder, **asked):
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=build_loggers(folder, **asked),
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(Line(), DataLoader(TensorDataset(torch.ones(4, 1)), batch_size=2))
    lines = (folder / "metrics.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    return [(int(row["step"]), float(row["train/loss"])) for row in rows]


def test_a_mirror_gets_every_point_that_metrics_csv_has(tmp_path):
    pytest.importorskip("wandb", reason="needs the extra wandb")
    kept = Kept()
    assert train(tmp_path, mirror=kept) == [(0, 1.0), (1, pytest.approx(0.64))]
    assert kept.points == [(0, 1.0), (1, pytest.approx(0.64))]


def test_event_files_hold_the_curve(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rows = train(tmp_path, tensorboard=True)
    events = EventAccumulator(str(tmp_path / TENSORBOARD))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert found == [pytest.approx(row) for row in rows]


def test_a_missing_package_is_named_before_any_work(monkeypatch):
    monkeypatch.setattr(sys.modules["gmbench.config.check"], "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'gmbench\[tensorboard\]'"):
        check(compose(["logger=tensorboard"]))


def test_a_resumed_run_continues_the_file(tmp_path):
    train(tmp_path)
    for steps in (1, 0):
        file = MetricsFile(tmp_path)
        file.continue_from(steps)
        file.log_metrics({"dev/f1": 0.5}, 1)
        file.save()
        first, *rows = (tmp_path / "metrics.csv").read_text().splitlines()
        assert first == ("dev/f1,epoch,step,train/loss" if steps else "dev/f1,step")
        assert len(rows) == steps + 1
