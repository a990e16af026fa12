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
            only="world",
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
        *(
            Variant(
                key=f"mqspn_k{k}",
                label=f"MQSPN, first {k} candidates",
                overrides=("model=mqspn", f"regions.num={k}"),
                only="real",
            )
            for k in (5, 15, 30)
        ),
        Variant(
            key="qgn",
            label="QGN (no proposals)",
            overrides=("model=qgn",),
        ),
    ),
    paper=False,
    data_varies=True,
    note=(
        "Recall: share of the gold boxes with a candidate at IoU 0.5. QGN reads no candidates; it "
        "is trained on the first of these worlds."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
