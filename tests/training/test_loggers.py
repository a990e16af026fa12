"""Figures reach the chosen loggers: metrics.csv always, TensorBoard and W&B on demand."""

import sys
from collections import defaultdict

import lightning
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from gmbench.config import check, compose, parse
from gmbench.core.errors import InputError
from gmbench.training.loggers import TENSORBOARD, MetricsFile, build_loggers
from gmbench.training.optimizer import build_optimizer, build_schedule
from gmbench.training.trainer import build_trainer
from tests.line import Line


class Kept:
    """What a mirror on W&B is sent: points (step, value) by name."""

    def __init__(self):
        self.points = defaultdict(list)

    def log(self, values):
        for name, value in values.items():
            self.points[name].append((values["trainer/global_step"], value))


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
    assert kept.points["train/loss"] == [(0, 1.0), (1, pytest.approx(0.64))]


def events_of(folder):
    """TensorBoard's own reader, or a skip."""
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    events = reader.EventAccumulator(str(folder / TENSORBOARD))
    events.Reload()
    return events


def test_event_files_hold_the_curve(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    rows = train(tmp_path, tensorboard=True)
    found = [(event.step, event.value) for event in events_of(tmp_path).Scalars("train/loss")]
    assert found == [pytest.approx(row) for row in rows]


class Scheduled(Line):
    """Learns at the rates of a run's settings for 20 steps."""

    def __init__(self, optim):
        super().__init__()
        self.optim = optim

    def validation_step(self, batch, index):
        figures = ("select", "gmner_f1", "mner_f1", "eeg_f1")
        self.log_dict({f"dev/{figure}": 0.5 for figure in figures})

    def configure_optimizers(self):
        optimizer = build_optimizer(self, self.optim, {"weight"})
        schedule = build_schedule(optimizer, self.optim, 20)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def test_learning_rates_reach_w_and_b_and_tensorboard_and_leave_metrics_csv_alone(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    fixed = ("trainer.accelerator=cpu", "callbacks.progress=false", "trainer.epochs=2")
    settings = parse(compose([*fixed, "optim.lr_head=0.5", "optim.warmup=0.0"]))
    batches = DataLoader(TensorDataset(torch.ones(10, 1)))
    tables, kept = [], Kept()
    for name, asked in (("without", {}), ("with", {"mirror": kept, "tensorboard": True})):
        trainer = build_trainer(settings, tmp_path / name, build_loggers(tmp_path / name, **asked))
        trainer.fit(Scheduled(settings.optim), batches, batches)
        tables.append((tmp_path / name / "metrics.csv").read_text())
    assert tables[0] == tables[1]
    assert "train/loss" in tables[0]
    rates = [(9, pytest.approx(0.5 * 11 / 20)), (19, pytest.approx(0.5 * 1 / 20))]
    assert kept.points["lr-AdamW/head_no_decay"] == rates
    found = events_of(tmp_path / "with").Scalars("lr-AdamW/head_no_decay")
    assert [(event.step, event.value) for event in found] == rates


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
