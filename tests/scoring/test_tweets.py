"""Counts of every tweet: there and back, and refused where they cannot be."""

import re

import numpy as np
import pytest

from gmbench.core.errors import InputError
from gmbench.scoring.files import read_tweet_table, write_tweet_table
from gmbench.scoring.intervals import TweetTable
from gmbench.scoring.significance import compare
from tests.scoring.test_intervals import simulated


def table(ids=None, seed=0, n=40):
    rng = np.random.default_rng(seed)
    rows = simulated(n, np.random.default_rng(9))
    tasks = []
    for right in (0.6, 1.0, 0.7):
        tp = np.minimum(rng.binomial(rows[:, 1], right), rows[:, 2])
        tasks.append(np.stack([tp, rows[:, 1], rows[:, 2]], axis=1))
    return TweetTable(tuple(ids or (f"{n:03}" for n in range(n))), *tasks)


def test_there_and_back(tmp_path):
    path = tmp_path / "tweets.csv"
    written = table(ids=[f'{n:03}, "x"\n' for n in range(40)])
    write_tweet_table(path, written)
    read = read_tweet_table(path)
    assert read.ids == written.ids
    for task in ("gmner", "mner", "eeg"):
        assert (getattr(read, task) == getattr(written, task)).all()
    first = path.read_bytes()
    write_tweet_table(path, read)
    assert path.read_bytes() == first


@pytest.mark.parametrize(("old", "new", "message"), [
    ("id,pred", "id,preds", ":1: the columns must be"),
    ("001,", "000,", ":3: id '000' stands twice"),
    ("001,", "001,-", ":3: an id and five whole numbers"),
    ("001,", "001,7,", ":3: an id and five whole numbers"),
])  # fmt: skip
def test_faults_are_named(tmp_path, old, new, message):
    path = tmp_path / "tweets.csv"
    write_tweet_table(path, table())
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=re.escape(message)):
        read_tweet_table(path)


def test_impossible_counts(tmp_path):
    path = tmp_path / "tweets.csv"
    path.write_text("id,pred,gold,gmner_tp,mner_tp,eeg_tp\na,1,1,2,1,1\n")
    with pytest.raises(InputError, match="more true positives"):
        read_tweet_table(path)
    other = table()
    other.eeg[0, 1] += 1
    with pytest.raises(ValueError, match="strict"):
        write_tweet_table(path, other)


def test_comparison_of_all_tasks():
    first, second = table(seed=1), table(seed=2)
    found = compare(first, second, resamples=99)
    assert [row.task for row in found.tasks] == ["gmner", "mner", "eeg"]
    assert all(row.p_holm >= row.difference.p for row in found.tasks)
    (alone,) = compare(first, second, tasks=["eeg"], resamples=99).tasks
    assert alone.p_holm == alone.difference.p
    with pytest.raises(ValueError, match="2 ids, say '000'"):
        compare(first, table(ids=[f"{n:03}" for n in range(1, 41)]))
