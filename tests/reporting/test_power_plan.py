"""report --power as a user types it: a table and a picture from runs with counts per example."""

from dataclasses import replace

import pytest

from gmbench.report import main
from gmbench.reporting.index import TWEETS
from gmbench.scoring.files import write_tweet_table
from gmbench.scoring.intervals import tweet_table
from tests.reporting.sample import GOLD, PREDICTIONS, sample
from tests.reporting.test_leaderboard import store


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_plan_needs_two_seeds(seeds, tmp_path, capsys):
    table = tweet_table({e.id: e.entities for e in GOLD}, PREDICTIONS)
    for seed in range(seeds):
        result = sample()
        config = replace(result.config, seed=seed, sha=str(seed))
        store(tmp_path, replace(result, config=config), f"seed={seed}")
        write_tweet_table(tmp_path / f"seed={seed}" / TWEETS, table)
    picture = tmp_path / "p.png"
    assert main([str(tmp_path), "--power", "1.0", "--picture", str(picture)]) == 0
    shown = capsys.readouterr()
    assert ("seeds for 80 %" in shown.out) is (seeds == 2)
    assert ("no method has two seeds" in shown.err) is (seeds == 1)
    assert picture.is_file() is (seeds == 2)
    assert main([str(tmp_path), "--power", "1.0", "--format", "md"]) == 0
    assert ("| seeds for 80 % |" in capsys.readouterr().out) is (seeds == 2)
    assert main([str(tmp_path), "--power", "0"]) == 2
