"""Irrelevant regions among the candidates, in training and testing or in testing alone."""

import sys
from collections.abc import Sequence

from experiments.engine import EEG_F1, GMNER_F1, Experiment, Measure, Variant, main
from experiments.engine.measures import Answers
from gmbench.structures import Example

KEPT = 10
"""Candidates of the detector; those behind them are injected."""


def injected_chosen(gold: Sequence[Example], answers: Answers) -> float | None:
    """Share of the predictions with a box whose box was injected, in %."""
    chosen = [p.region for example in gold for p in answers[example.id] if p.region]
    return 100 * sum(region > KEPT for region in chosen) / len(chosen) if chosen else None


def row(key: str, label: str, train: float, test: float) -> Variant:
    """A variant with injected boxes, as shares of the detector's."""
    return Variant(
        key=key,
        label=label,
        overrides=(
            "regions=noisy",
            f"regions.source.k={KEPT}",
            f"regions.source.share={max(train, test):g}",
            f"regions.num={round(KEPT * (1 + train))}",
            f"regions.eval_num={round(KEPT * (1 + test))}",
        ),
        x=100 * test,
    )


EXPERIMENT = Experiment(
    name="region_noise",
    title="Irrelevant regions among the candidates",
    base=("model=mqspn",),
    real=("+experiment=mqspn_paper",),
    reference="none",
    measures=(
        GMNER_F1,
        EEG_F1,
        Measure(title="injected region chosen", of_answers=injected_chosen),
    ),
    rows=(
        row("none", "no noise", 0, 0),
        row("half", "50 % more", 0.5, 0.5),
        row("double", "100 % more", 1, 1),
        row("triple", "200 % more", 2, 2),
        row("test_only", "200 % more, in testing alone", 0, 2),
    ),
    paper=False,
    note=(
        f"{KEPT} candidates of the detector, then random boxes that overlap none of them by more "
        "than IoU 0.3. The tweets and their gold are the same in every row."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
