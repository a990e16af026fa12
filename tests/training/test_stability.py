"""How settled the matching is: what counts as changed, and that a run logs it on demand."""

import numpy as np
import pytest

from gmbench.reporting.charts import read_curves
from gmbench.training.matching_stability import moved
from tests.verbs.test_run import TINY


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([0, 1, -1], [0, 1, -1], (0, 2)),
        ([0, 1, -1], [1, 0, -1], (2, 2)),
        ([0, -1, -1], [-1, 0, -1], (2, 2)),
        ([-1, -1, -1], [-1, -1, 0], (1, 1)),
        ([-1, -1, -1], [-1, -1, -1], (0, 0)),
    ],
)
def test_a_query_changed_if_its_gold_entity_did(before, now, expected):
    assert moved(np.array(before, dtype=np.int16), np.array(now, dtype=np.int16)) == expected


def test_a_run_logs_it_from_the_second_epoch_on(tmp_path, door):
    shared = [*TINY, "trainer.epochs=3", "callbacks.matching=true"]
    done = door.run("gmbench.run", *shared, folder=tmp_path)
    assert done.code == 0, done.err
    (path,) = tmp_path.rglob("metrics.csv")
    values = [value for _, value in read_curves(path)["train/matching_changed"]]
    assert len(values) == 2
    assert all(0 <= value <= 1 for value in values)
