"""What the page of labels shows: those that most runs agree against, with sentence and boxes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gmbench.core.entities import Box, Entity, Example
from gmbench.reporting.site.runs import Answers
from gmbench.reporting.tables import label_text
from gmbench.scoring.labels import KINDS, Suspect, suspects

MOST = 30
"""Labels of each kind on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLabel:
    """One label and what stands instead.

    Attributes:
        label, instead: as text.
        words: of the sentence, each with whether it is labelled.
        image: path below the site, or None.
        size: of the original picture in pixels, the unit of the boxes.
        gold, others: boxes of the label, and those instead.
    """

    suspect: Suspect
    label: str
    instead: str
    words: tuple[tuple[str, bool], ...]
    image: str | None
    size: tuple[int, int] | None
    gold: tuple[Box, ...]
    others: tuple[Box, ...]


def shown_labels(
    gold: Sequence[Example], runs: Sequence[Answers], images: Mapping[str, str], *, saw_pixels: bool
) -> dict[str, tuple[ShownLabel, ...]]:
    """The first labels of each kind; ``images`` are paths below the site, by id."""
    examples = {example.id: example for example in gold}

    def shown(one: Suspect) -> ShownLabel:
        example, entity = examples[one.id], one.gold
        others = one.instead.boxes if one.kind == "region" and one.instead is not None else ()
        boxes = {entity: "the solid box", one.instead: "the dashed box"}

        def told(said: Entity | None) -> str:
            if said is not None and said.boxes and one.kind == "region":
                return boxes[said]
            return label_text(example.words, said, one.kind)

        return ShownLabel(
            suspect=one,
            label=told(entity),
            instead=told(one.instead),
            words=tuple((w, entity.start <= n <= entity.end) for n, w in enumerate(example.words)),
            image=images.get(one.id),
            size=example.size,
            gold=entity.boxes,
            others=others,
        )

    ranked = suspects(gold, runs)
    return {
        kind: tuple(shown(one) for one in ranked if one.kind == kind and one.rank <= MOST)
        for kind in KINDS
        if saw_pixels or kind != "region"
    }
