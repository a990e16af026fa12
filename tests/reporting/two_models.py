"""Two scored models on a few or many random tweets, stored as runs."""

import random
from dataclasses import replace
from pathlib import Path

from PIL import Image

from gmbench.core.entities import Example
from gmbench.reporting.index import TWEETS, read_index
from gmbench.reporting.leaderboard import Board, leaderboard
from gmbench.reporting.record import Metrics, write_result
from gmbench.scoring.counting import score_corpus
from gmbench.scoring.files import write_predictions, write_tweet_table
from gmbench.scoring.intervals import tweet_table
from tests.reporting.sample import sample
from tests.scoring.documents import random_document

MARKUP = ("<script>document.title='taken'</script>", "</script>", "<b>bold</b>", "w3")


def two_models(folder: Path, count: int, *, pixels: bool = True) -> tuple[Board, list[Example]]:
    """A board of two rows and the tweets; the words of the first are markup."""
    rng = random.Random(7)
    (folder / "images").mkdir(parents=True)
    gold = []
    for number in range(count):
        entities, _ = random_document(rng)
        picture = folder / "images" / f"{number}.jpg"
        Image.new("RGB", (50, 50), (90, 120, 150)).save(picture)
        words = MARKUP if number == 0 else ("w0", f"name{number}", "w2", "w3")
        gold.append(Example(f"t{number}", words, tuple(entities), image=picture, size=(50, 50)))
    for model in ("mqspn", "qgn"):
        answers = {example.id: tuple(random_document(rng)[1]) for example in gold}
        result = sample(saw_pixels=pixels)
        scores = score_corpus((e.entities, answers[e.id]) for e in gold)
        run = folder / "runs" / model
        run.mkdir(parents=True)
        write_predictions(run / "predictions.test.jsonl", answers)
        table = tweet_table({e.id: e.entities for e in gold}, answers)
        write_tweet_table(run / TWEETS, table)
        (run / "metrics.csv").write_text(
            "epoch,step,train/loss,dev/gmner_f1\n0,9,3.5,\n0,19,,0.4\n"
        )
        write_result(
            run / "result.json",
            replace(
                result,
                config=replace(
                    result.config, model=model, sha=model * 8, overrides=(f"model={model}",)
                ),
                data=replace(result.data, n=count, blanked=0 if pixels else count),
                metrics=Metrics.of(scores, saw_pixels=pixels),
                floors=(),
            ),
        )
    return leaderboard(read_index(folder / "runs")), gold
