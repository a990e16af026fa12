"""A model that chooses among proposals against one that draws boxes, as proposals get worse."""

import sys

from experiments.engine import EEG_F1, GMNER_F1, Experiment, Finished, Measure, Variant, main
from gmbench.reporting.record import ANALYSIS, read_analysis

RECALLS = (1.0, 0.9, 0.75, 0.5, 0.3)


def ceiling(run: Finished) -> float | None:
    """GMNER recall in percent with perfect text and the best candidate everywhere."""
    path = run.folder / ANALYSIS
    found = read_analysis(path).ceiling if path.is_file() else None
    return None if found is None else 100 * found.gmner[-1]


def measured(run: Finished) -> float | None:
    """Percentage of groundable entities that one of the run's candidates meets; None without."""
    path = run.folder / ANALYSIS
    found = read_analysis(path).ceiling if path.is_file() else None
    return None if found is None else 100 * found.covered[-1] / found.groundable


def rows(model: str, label: str) -> tuple[Variant, ...]:
    """The model at each recall of the candidates."""
    return tuple(
        Variant(
            key=f"{model}_{round(100 * recall)}",
            label=f"{label}, recall {recall:g}",
            overrides=(f"model={model}",),
            world_only=(f"data.world.candidate_recall={recall}",),
            x=100 * recall,
            series=label,
            only="world",
        )
        for recall in RECALLS
    )


EXPERIMENT = Experiment(
    name="proposal_recall",
    title="Proposal-based and proposal-free as proposals get worse",
    base=(),
    reference=None,
    measures=(EEG_F1, GMNER_F1, Measure(title="GMNER ceiling", of=ceiling)),
    rows=(
        *rows("mqspn", "MQSPN"),
        *(
            Variant(
                key=f"mqspn_k{k}",
                label=f"MQSPN, first {k} candidates",
                overrides=("model=mqspn", f"regions.num={k}"),
                only="real",
            )
            for k in (5, 15, 30)
        ),
        *(
            Variant(
                key=key,
                label=f"MQSPN, {label}",
                overrides=("model=mqspn", *overrides),
                series="MQSPN",
                only="photos",
            )
            for key, label, *overrides in (
                ("annotated", "annotated boxes", "regions=vinvl"),
                ("ssd_10", "detector, first 10", "regions=ssd"),
                ("ssd_5", "detector, first 5", "regions=ssd", "regions.num=5"),
                ("ssd_2", "detector, first 2", "regions=ssd", "regions.num=2"),
                ("selective_search", "selective search", "regions=selective_search"),
            )
        ),
        Variant(
            key="qgn",
            label="QGN (no proposals)",
            overrides=("model=qgn",),
            photos_only=("encoders.image_size=112",),  # as in the study photos
            series="QGN",
        ),
    ),
    paper=False,
    curve="share of gold boxes that have a candidate, in %",
    along=measured,
    data_varies=True,
    note=(
        "Recall: share of the gold boxes with a candidate at IoU 0.5; on photographs that of the "
        "groundable test entities, measured on the run's own candidates. Ceiling: GMNER with "
        "perfect text and the best candidate everywhere. The worlds differ in their candidates "
        "alone; QGN reads none, so its runs on the first world are its runs on all, and its line "
        "runs across."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
