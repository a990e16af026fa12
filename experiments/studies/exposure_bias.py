"""What an early wrong entity costs the later ones: each written after gold, or after its own."""

import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from experiments.engine import GMNER_F1, Experiment, Measure, Variant, main
from experiments.engine.collect import Block, OurCell
from experiments.engine.measures import MNER_F1, Answers, is_right
from gmbench.core.entities import Entity, Example, Prediction
from gmbench.reporting.plots import BLUE, GREEN, GREY, ORANGE, STYLE, VERMILION

NAMES = ("1", "2", "3", "4 or more")
BY_PLACE = "GMNER recall by place in the sentence"
BY_NUMBER = "GMNER recall by entities in the tweet"
AFTER = "GMNER recall of the others, by whether the first entity is right"
"""Each a table of its own."""


def in_order(example: Example) -> list[Entity]:
    """Gold entities as they stand in the sentence."""
    return sorted(example.entities, key=lambda entity: entity.start)


def found(entity: Entity, answers: Sequence[Prediction]) -> bool:
    """Whether some answer has its span, type and region."""
    return any(is_right(entity, answer) for answer in answers)


def at_place(place: int) -> Callable[[Example, Sequence[Prediction]], tuple[int, int]]:
    """Entities found among those at a place from 0; the last place stands for all behind it."""

    def count(example: Example, answers: Sequence[Prediction]) -> tuple[int, int]:
        mine = in_order(example)[place : None if place == len(NAMES) - 1 else place + 1]
        return sum(found(entity, answers) for entity in mine), len(mine)

    return count


def of_number(number: int) -> Callable[[Example, Sequence[Prediction]], tuple[int, int]]:
    """Entities found in tweets of so many; the last number stands for all above it."""

    def count(example: Example, answers: Sequence[Prediction]) -> tuple[int, int]:
        mine = example.entities if min(len(example.entities), len(NAMES)) == number else ()
        return sum(found(entity, answers) for entity in mine), len(mine)

    return count


def others(first_right: bool) -> Callable[[Sequence[Example], Answers], float | None]:
    """Recall of all entities but the first, in tweets where that is right, or wrong, in %."""

    def recall(gold: Sequence[Example], answers: Answers) -> float | None:
        marks = [
            found(entity, answers[example.id])
            for example in gold
            if example.entities and found(in_order(example)[0], answers[example.id]) is first_right
            for entity in in_order(example)[1:]
        ]
        return 100 * sum(marks) / len(marks) if marks else None

    return recall


PLACES = tuple(
    Measure(title=name, of_tweets=at_place(n), column=BY_PLACE) for n, name in enumerate(NAMES)
)
NUMBERS = tuple(
    Measure(title=name, of_tweets=of_number(n), column=BY_NUMBER)
    for n, name in enumerate(NAMES, start=1)
)
FIRST = tuple(
    Measure(title=f"first {name}", of_answers=others(right), column=AFTER)
    for name, right in (("right", True), ("wrong", False))
)


def after_gold(key: str, label: str, *overrides: str) -> Variant:
    """The weights of a row, each entity written after the gold ones before it."""
    return Variant(
        key=f"{key}_gold",
        label=f"{label}, after gold",
        overrides=("model=hindex", *overrides, "model.network.prefix=gold"),
        weights_of=key,
        against=f"{key}_gold",
    )


EXPERIMENT = Experiment(
    name="exposure_bias",
    title="What an early wrong entity costs",
    base=(),
    reference="hindex",
    measures=(GMNER_F1, MNER_F1, *PLACES, *NUMBERS, *FIRST),
    rows=(
        Variant(key="hindex", label="H-Index", overrides=("model=hindex",), against="hindex_gold"),
        after_gold("hindex", "H-Index"),
        Variant(
            key="sampled",
            label="H-Index, scheduled sampling",
            overrides=("model=hindex", "model.scheduled_sampling=0.25"),
            against="sampled_gold",
        ),
        after_gold("sampled", "H-Index, scheduled sampling", "model.scheduled_sampling=0.25"),
        Variant(
            key="drawn",
            label="H-Index, in a drawn order",
            overrides=("model=hindex", "model.order=drawn"),
        ),
        Variant(key="mqspn", label="MQSPN", overrides=("model=mqspn",)),
        Variant(
            key="mqspn_order",
            label="MQSPN, in order",
            overrides=("model=mqspn", "model.matcher.solver=order"),
        ),
    ),
    paper=False,
    picture=lambda block: draw(block),
    note=(
        "*After gold*: each entity is written after the gold entities before it, in place of the "
        "model's own: a diagnosis, no score. The two rows of such a pair are tests of the same "
        "weights, so their difference (the upper row minus *after gold*) is what the model's own "
        "errors cost; seeds and tweets are paired in its interval. MQSPN answers all at once, "
        "with or without an order: no answer is read by another, so its recall after gold is its "
        "recall, by construction. Those rows, and the drawn order, are compared with H-Index "
        "after its own entities. A place is that in the sentence, whatever the order taught. "
        "*First right* and *first wrong* show what goes together, not what causes it: a hard "
        "tweet is hard at every place."
    ),
)

LINES = {
    "hindex": (VERMILION, "-", "o"),
    "hindex_gold": (VERMILION, ":", "s"),
    "sampled": (ORANGE, "-", "^"),
    "drawn": (GREY, "-", "v"),
    "mqspn": (BLUE, "-", "D"),
    "mqspn_order": (GREEN, "--", "P"),
}


def draw(block: Block) -> bytes | None:
    """Recall by place, and beside it the differences that the claim is about; None without runs."""
    rows = {row[0].row.key: [cell for cell in row if cell.measure in PLACES] for row in block.cells}
    if not any(cell.summary for row in rows.values() for cell in row):
        return None
    with style.context(["default", dict(STYLE)]):
        figure = Figure(figsize=(10, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        for key, (colour, dash, marker) in LINES.items():
            cells = [(n, cell) for n, cell in enumerate(rows[key]) if cell.summary is not None]
            if cells:
                values = [cell.summary.mean for _, cell in cells if cell.summary]
                left.plot([n for n, _ in cells], values, dash, color=colour, marker=marker,
                          label=cells[0][1].row.label)  # fmt: skip
        left.set_ylabel("GMNER recall in %, mean over seeds")
        left.legend(fontsize=8, handlelength=3.5)
        for shift, key in ((-0.12, "hindex"), (0.12, "mqspn")):
            _differences(right, rows[key], shift=shift, key=key)
        right.axhline(0, color=GREY, linewidth=0.8)
        right.set_ylabel("difference in points, 95 %")
        if right.get_legend_handles_labels()[0]:
            right.legend(fontsize=8)
        for axis in (left, right):
            axis.set_xticks(range(len(NAMES)), NAMES)
            axis.set_xlim(-0.4, len(NAMES) - 0.6)
            axis.set_xlabel("place of the entity in the sentence")
        out = BytesIO()
        figure.savefig(out, dpi=150, metadata={"Software": None})
        return out.getvalue()


def _differences(axis: Any, cells: Sequence[OurCell], *, shift: float, key: str) -> None:
    """Dots with intervals, where a difference has one."""
    names = {"hindex": "H-Index, own minus gold entities before", "mqspn": "MQSPN minus H-Index"}
    known = [
        (n + shift, 100 * d.value, 100 * (d.value - d.low))
        for n, cell in enumerate(cells)
        if cell.difference is not None and (d := cell.difference.delta).low is not None
    ]
    if known:
        x, y, reach = zip(*known, strict=True)
        colour, _, marker = LINES[key]
        axis.errorbar(x, y, reach, fmt=marker, color=colour, capsize=3, label=names[key])


if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
