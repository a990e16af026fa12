"""A detector tuned on the training pictures: do its regions serve new pictures as well?

No detector is part of gmbench. The rows read candidates that you made with yours, one file a way
of tuning: ``{data.root}/rpn/{frozen,head,all,low_lr,mixed}.jsonl``, with one line
``{"id", "boxes": [[x1, y1, x2, y2], ...]}``, best first, for every picture of all three splits.
"""

import sys
from functools import cache
from pathlib import Path

from experiments.engine import EEG_F1, GMNER_F1, Experiment, Finished, Measure, Variant, main
from gmbench.config.compose import stored_settings
from gmbench.lifecycle.build_data import build_regions, build_source
from gmbench.scoring.grounding import region_upper_bound

WAYS = {
    "frozen": "as it came",
    "head": "with its head tuned",
    "all": "tuned throughout",
    "low_lr": "tuned throughout at a tenth of the rate",
    "mixed": "tuned with generic boxes mixed in",
}


@cache
def recall(folder: Path, split: str) -> float:
    """Percent of the groundable entities of a split that the run's first k candidates cover.

    Args:
        folder: of a run; its ``config.yaml`` tells the data, the regions and k.
        split: ``train`` or ``test``.
    """
    settings = stored_settings(folder / "config.yaml")
    source = build_source(settings)
    examples = source.read(split, build_regions(settings, source)).examples
    nothing = {example.id: () for example in examples}
    return 100 * region_upper_bound(examples, nothing, settings.regions.eval_num).recall[-1]


def on(split: str) -> Measure:
    """Recall at k on a split."""
    return Measure(title=f"recall@k, {split}", of=lambda run: recall(run.folder, split))


def gap(run: Finished) -> float:
    """Recall at k in training minus that in testing, in points."""
    return recall(run.folder, "train") - recall(run.folder, "test")


EXPERIMENT = Experiment(
    name="rpn_tuning",
    title="Candidates of a detector tuned in five ways",
    base=("model=mqspn",),
    real=("+experiment=mqspn_paper",),
    reference="frozen",
    measures=(
        GMNER_F1,
        EEG_F1,
        on("train"),
        on("test"),
        Measure(title="recall gap", of=gap, unit="points"),
    ),
    rows=(
        *(
            Variant(
                key=key,
                label=f"detector {way}",
                paper_only=("regions=jsonl", f"regions.source.path=${{data.root}}/rpn/{key}.jsonl"),
                only="real",
            )
            for key, way in WAYS.items()
        ),
        Variant(
            key="world", label="candidates of the built-in world, of no detector", only="world"
        ),
    ),
    paper=False,
    note=(
        "MQSPN reports a decline after tuning its region proposal network and blames overfitting: "
        "then the gap between the recall on training and on test pictures must grow with the "
        "freedom to tune, and F1 fall with it. The detector is yours to tune; how to hand over its "
        "boxes stands at the top of `experiments/studies/rpn_tuning.py`. The built-in world has "
        "none, and its one row shows the gap of candidates that know neither split."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
