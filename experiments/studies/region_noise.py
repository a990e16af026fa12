"""Noise around what is named: irrelevant candidates for MQSPN, foreign patches for QGN."""

import sys
from collections.abc import Sequence

from experiments.engine import EEG_F1, GMNER_F1, Experiment, Measure, Variant, main
from experiments.engine.measures import Answers
from gmbench.core.entities import Example

KEPT = 10
"""Candidates of the detector; those behind them are injected."""


def injected_chosen(gold: Sequence[Example], answers: Answers) -> float | None:
    """Share of the predictions with a box whose box was injected, in %."""
    chosen = [p.region for example in gold for p in answers[example.id] if p.region]
    return 100 * sum(region > KEPT for region in chosen) / len(chosen) if chosen else None


WITHOUT = {
    "sag": ("w/o SAG", "model.network.qfnet.aggregator=none"),
    "qpi": ("w/o QPI", "model.network.qfnet.prefix_source=none"),
    "both": (
        "w/o SAG and QPI",
        "model.network.qfnet.aggregator=none model.network.qfnet.prefix_source=none",
    ),
    "qfnet": ("words and regions fused directly", "model.network.qfnet.direct=true"),
}
"""What QFNet filters shows where its parts are missing."""


def row(
    key: str, label: str, train: float, test: float, less: str = "", against: str = "none"
) -> Variant:
    """A variant with injected boxes, as shares of the detector's, and ``less`` of the model."""
    return Variant(
        key=key,
        label=f"MQSPN, {label}",
        overrides=(
            "model=mqspn",
            "regions=noisy",
            f"regions.source.k={KEPT}",
            f"regions.source.share={max(train, test):g}",
            f"regions.num={round(KEPT * (1 + train))}",
            f"regions.eval_num={round(KEPT * (1 + test))}",
            *less.split(),
        ),
        paper_only=("+experiment=mqspn_paper",),
        against=against,
    )


def patched(percent: int) -> Variant:
    """QGN's weights of the row without noise, tested on pictures with foreign patches."""
    return Variant(
        key=f"qgn_{percent}",
        label=f"QGN, {percent} % foreign, in testing alone",
        overrides=(
            "model=qgn",
            "+foreign=patches",
            f"data.foreign.share={percent / 100:g}",
            "data.foreign.splits=[test]",
        ),
        paper_only=("+experiment=qgn_paper",),
        weights_of="qgn",
        against="qgn",
    )


EXPERIMENT = Experiment(
    name="region_noise",
    title="Irrelevant regions and foreign patches",
    base=(),
    reference="none",
    data_varies=True,
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
        *(
            row(f"{name}_{noise}", f"{label}, {words}", share, share, less, against=noise)
            for name, (label, less) in WITHOUT.items()
            for noise, words, share in (("none", "no noise", 0), ("triple", "200 % more", 2))
        ),
        Variant(
            key="qgn",
            label="QGN, no noise",
            overrides=("model=qgn",),
            paper_only=("+experiment=qgn_paper",),
            against="qgn",  # not with MQSPN
        ),
        *(patched(percent) for percent in (10, 25, 50)),
    ),
    paper=False,
    note=(
        f"MQSPN: {KEPT} candidates of the detector, then random boxes that overlap none of them by "
        "more than IoU 0.3. QGN: of the 8 x 8 cells of a picture that touch no gold box, the share "
        "shows the same cells of another tweet's picture. The tweets and their gold are the same "
        "in every row; MQSPN is compared with MQSPN without noise, without a part with the whole "
        "under the same noise, QGN with QGN."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
