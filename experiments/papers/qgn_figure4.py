"""QGN, Figure 4: where models look for an entity, as maps and as two numbers."""

import sys
from collections.abc import Mapping, Sequence

from experiments.engine import GMNER_F1, Experiment, Finished, Measure, Variant, main


def hits(run: Finished) -> float | None:
    """Share of the entities with a box whose hottest place lies in a gold box, in %."""
    from experiments.engine.attention import looks_of

    looks = looks_of(run.folder)
    return None if looks is None else 100 * looks.pointing.hit_rate


def mass(run: Finished) -> float | None:
    """Mean share of the weights inside the gold boxes, in %."""
    from experiments.engine.attention import looks_of

    looks = looks_of(run.folder)
    return None if looks is None else 100 * looks.pointing.mass


def area(run: Finished) -> float | None:
    """Mean share of the picture that the gold boxes fill, in %: what looking everywhere earns."""
    from experiments.engine.attention import looks_of

    looks = looks_of(run.folder)
    return None if looks is None else 100 * looks.pointing.area


def maps(runs: Mapping[str, Sequence[Finished]]) -> bytes | None:
    """The picture: one row an entity, one column a model, by its first seed."""
    from experiments.engine.attention import draw, looks_of

    found = [(label, looks) for label, mine in runs.items() if (looks := looks_of(mine[0].folder))]
    return draw(found) if found else None


EXPERIMENT = Experiment(
    name="qgn_figure4",
    title="QGN, Figure 4: where models look",
    base=(),
    reference=None,
    measures=(
        GMNER_F1,
        Measure(title="pointing hits", of=hits),
        Measure(title="mass in gold boxes", of=mass),
        Measure(title="area of gold boxes", of=area),
    ),
    rows=(
        Variant(
            key="qgn",
            label="QGN",
            overrides=("model=qgn",),
            paper_only=("+experiment=qgn_paper",),
        ),
        Variant(
            key="mqspn",
            label="MQSPN",
            overrides=("model=mqspn",),
            paper_only=("+experiment=mqspn_paper",),
        ),
    ),
    paper=False,
    picture=lambda block: maps(block.by_label),
    note=(
        "QGN: attention of its last fusion layer on the patches, mean over heads. MQSPN: its "
        "probabilities of the candidate regions, painted back. Of each entity, the query likeliest "
        "to name it."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
