"""One trained model under other candidates, never retrained: where do its lost points go?"""

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from experiments.engine import GMNER_F1, Experiment, Finished, Measure, Variant, main
from experiments.engine.error_bars import draw
from experiments.studies.proposal_recall import RECALLS
from gmbench.core.errors import InputError
from gmbench.lifecycle.build_data import build_regions, stored_data
from gmbench.reporting.plots import BLUE, GREEN, GREY, ORANGE, VERMILION
from gmbench.scoring.files import read_predictions
from gmbench.scoring.lost_points import LostPoints, lost_points


@cache
def lost(folder: Path) -> LostPoints | None:
    """The lost points of a run, under the candidates that it was tested with."""
    try:
        settings, source = stored_data(folder)
        examples = source.read("test", build_regions(settings, source)).examples
        answers = read_predictions(folder / "predictions.test.jsonl", examples)
    except (InputError, OSError):
        return None
    k = settings.regions.eval_num
    boxes = {
        e.id: () if e.candidates is None else tuple(map(tuple, e.candidates.boxes[:k].tolist()))
        for e in examples
    }
    return lost_points({example.id: example.entities for example in examples}, answers, boxes)


@dataclass(frozen=True)
class Points:
    """GMNER F1 itself, or the points of it that are lost to a cause."""

    title: str
    cause: str | None
    colour: str
    hatch: str = ""

    def share(self, run: Finished) -> float | None:
        """In points."""
        found = lost(run.folder.absolute())
        if found is None:
            return None
        points = found.gmner if self.cause is None else found.parts[self.cause].points
        return 100 * points.value


POINTS = (
    Points("GMNER F1", None, GREEN),
    Points("lost: text", "text", VERMILION),
    Points("lost: no candidate", "candidates", GREY),
    Points("lost: wrong choice", "choice", ORANGE),
    Points("lost: wrong none", "none", BLUE, "///"),
)


def recall(run: Finished) -> float | None:
    """Percentage of the named groundable entities that a candidate covers."""
    found = lost(run.folder.absolute())
    return None if found is None or found.recall is None else 100 * found.recall.value


def under(
    key: str,
    label: str,
    *overrides: str,
    world: tuple[str, ...] = ("regions.num=10",),
    only: Literal["real", "world", "photos"] | None = None,
) -> Variant:
    """The trained model under other candidates, as many of an image as in training."""
    return Variant(
        key=key,
        label=label,
        overrides=("model=mqspn", *overrides),
        paper_only=("regions.num=15",),
        world_only=world,
        weights_of="own",
        tested_only=True,
        only=only,
    )


EXPERIMENT = Experiment(
    name="candidate_exchange",
    title="One trained model under other candidates",
    base=(),
    reference="own",
    measures=(
        GMNER_F1,
        *(Measure(title=points.title, of=points.share) for points in POINTS[1:]),
        Measure(title="recall", of=recall),
    ),
    rows=(
        Variant(key="own", label="as trained", overrides=("model=mqspn",)),
        under("gold", "gold boxes", "regions=gold"),
        *(
            under(
                f"recall_{round(100 * r)}",
                f"recall {r:g}",
                world=(f"data.world.candidate_recall={r}",),
                only="world",
            )
            for r in RECALLS[1:]
        ),
        under("annotated", "annotated boxes", "regions=vinvl", only="photos"),
        under("ssd", "MobileNet-SSD", "regions=ssd", only="real"),
        under("selective_search", "selective search", "regions=selective_search"),
        under("grid", "windows", "regions=grid"),
    ),
    paper=False,
    data_varies=True,
    picture=lambda block: draw(block.by_label, POINTS, "points of GMNER F1, mean over seeds"),
    note=(
        "The first row is trained with its own candidates; the others test its weights under "
        "other candidates, as many of an image (10; on tweets 15). What GMNER lacks to 100 is "
        "split exactly: *text*: wrong, missing and superfluous names; with the right text, *no "
        "candidate*: none has IoU 0.5 with the entity; *wrong choice*: a wrong box though one "
        "does; *wrong none*: *not in the image* though one does, or a box for an entity that is "
        "not in it. *recall*: share of the groundable entities with the right text that have a "
        "candidate. *gold boxes*: the boxes of the entities and no others."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
