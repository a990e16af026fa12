"""A model that chooses among proposals against one that draws boxes, as proposals get worse."""

import sys

from experiments.engine import EEG_F1, GMNER_F1, Experiment, Variant, main

RECALLS = (1.0, 0.9, 0.75, 0.5)


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
        )
        for recall in RECALLS
    )


EXPERIMENT = Experiment(
    name="proposal_recall",
    title="Proposal-based and proposal-free as proposals get worse",
    base=(),
    reference=None,
    measures=(GMNER_F1, EEG_F1),
    rows=(
        *rows("mqspn", "MQSPN"),
        Variant(
            key="qgn",
            label="QGN (no proposals)",
            overrides=("model=qgn",),
            x=100,
            series="QGN (no proposals)",
        ),
    ),
    paper=False,
    curve="share of the gold boxes with a candidate at IoU 0.5, in %",
    data_varies=True,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
