"""Ever more entities in a tweet: what becomes of set prediction?"""

import sys

from experiments.engine import TASKS_F1, Experiment, Finished, Measure, Variant, main
from experiments.engine.plan import GMNER_DATA
from gmbench.reporting.charts import read_curves

COUNTS = (1, 2, 4, 6, 8, 12)


def unsettled(run: Finished) -> float | None:
    """Share of matched queries that changed their gold entity in the last epoch, in percent."""
    path = run.folder / "metrics.csv"
    found = read_curves(path).get("train/matching_changed") if path.is_file() else None
    return 100 * found[-1][1] if found else None


def dense(model: str, label: str, n: int) -> Variant:
    """Tweets of exactly n entities each."""
    return Variant(
        key=f"{model}_{n}",
        label=f"{label}, {n} a tweet",
        overrides=(f"model={model}",),
        world_only=(
            f"+data.world.entities_min={n}",
            f"+data.world.entities_max={n}",
            f"+data.world.words_max={40 + 8 * n}",
            f"data.world.candidates={10 + n}",
            f"regions.num={10 + n}",
        ),
        x=n,
        only="world",
    )


EXPERIMENT = Experiment(
    name="density",
    title="Entities in a tweet",
    base=("model.network.num_queries=48", "callbacks.matching=true"),
    settings=(GMNER_DATA,),
    reference=None,
    measures=(*TASKS_F1, Measure(title="matching changed", of=unsettled)),
    rows=tuple(dense("mqspn", "MQSPN", n) for n in COUNTS),
    paper=False,
    curve="entities in every tweet",
    data_varies=True,
    note=(
        "Each point is a world of its own, trained and tested on. Nested and crossing spans cannot "
        "be told in BIO tags and do not occur. *Matching changed*: of the queries matched in the "
        "last training epoch or the one before, those matched otherwise than before."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
