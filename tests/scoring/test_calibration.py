"""Calibration against torchmetrics, against simulations whose truth is known, and at the edges."""

import random

import numpy as np
import pytest

from gmbench.core.entities import Entity, Prediction
from gmbench.scoring.calibration import calibration

BOX = (0.0, 0.0, 1.0, 1.0)


def corpus(said, was, per_tweet=2):
    gold, pred = {}, {}
    for place, (p, y) in enumerate(zip(said, was, strict=True)):
        id_, word = f"{place // per_tweet:05}", place % per_tweet
        gold.setdefault(id_, []).append(Entity(word, word, "PER", () if y else (BOX,)))
        pred.setdefault(id_, []).append(Prediction(word, word, "LOC", no_target=float(p)))
    return gold, pred


@pytest.fixture(scope="module")
def simulated():
    rng = np.random.default_rng(0)
    truth = rng.beta(0.6, 0.5, 600)
    return truth**2, rng.random(600) < truth


def test_against_torchmetrics(simulated):
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.classification import binary_auroc, binary_calibration_error

    said, was = simulated
    found = calibration(*corpus(said, was))
    p, y = torch.tensor(said), torch.tensor(was).long()
    assert found.n == 600
    assert found.ece.value == pytest.approx(float(binary_calibration_error(p, y, 15)), abs=1e-6)
    assert found.auc == pytest.approx(float(binary_auroc(p, y)), abs=1e-6)
    assert found.brier == pytest.approx(np.mean((said - was) ** 2))
    likely = np.where(was, said, 1 - said).clip(1e-12)
    assert found.nll == pytest.approx(-np.log(likely).mean())
    assert found.ece.low < found.ece.value < found.ece.high


def test_a_constant_at_the_base_rate_is_calibrated_and_useless():
    was = np.arange(100) < 60
    found = calibration(*corpus(np.full(100, 0.6), was))
    assert found.base_rate == 0.6
    assert found.ece.value == pytest.approx(0.0)
    assert found.ece_equal_mass.value == pytest.approx(0.0)
    assert found.brier == pytest.approx(found.brier_constant) == pytest.approx(0.24)
    assert found.auc == 0.5
    assert [bin_.n for bin_ in found.bins] == [100]


def test_bins_of_equal_mass(simulated):
    found = calibration(*corpus(*simulated))
    assert [bin_.n for bin_ in found.bins] == [40] * 15
    said = [bin_.said for bin_ in found.bins]
    assert said == sorted(said)
    gap = sum(b.n * abs(b.said - b.was) for b in found.bins) / found.n
    assert found.ece_equal_mass.value == pytest.approx(gap)


def test_a_calibrated_model_has_a_small_error():
    rng = np.random.default_rng(1)
    said = rng.random(6_000)
    found = calibration(*corpus(said, rng.random(6_000) < said))
    assert found.ece.value < 0.03
    biased = calibration(*corpus(said, rng.random(6_000) < said * 0.8))
    assert biased.ece.value == pytest.approx(0.1, abs=0.02)
    assert biased.ece.low < 0.1 < biased.ece.high


def test_only_predictions_with_a_truth_and_a_probability_count():
    gold = {"a": [Entity(0, 0, "PER"), Entity(1, 1, "PER", (BOX,))], "b": []}
    pred = {
        "a": [
            Prediction(0, 0, "LOC", no_target=0.9),
            Prediction(0, 0, "PER", no_target=0.2),
            Prediction(1, 1, "PER"),
            Prediction(0, 1, "PER", no_target=0.5),
        ],
        "b": [Prediction(0, 0, "PER", no_target=0.5)],
    }
    found = calibration(gold, pred)
    assert (found.n, found.base_rate, found.auc) == (1, 1.0, None)
    assert found.ece.low is None
    assert calibration(gold, {"a": [], "b": []}) is None


def test_order_changes_nothing(simulated):
    gold, pred = corpus(*simulated, per_tweet=3)
    first = calibration(gold, pred)
    rng = random.Random(0)
    ids = list(gold)
    rng.shuffle(ids)
    for id_ in ids:
        rng.shuffle(gold[id_])
        rng.shuffle(pred[id_])
    assert calibration({i: gold[i] for i in ids}, {i: pred[i] for i in reversed(ids)}) == first
