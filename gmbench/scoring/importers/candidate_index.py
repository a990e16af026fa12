"""H-Index, TIGER and MQSPN style: the region is the index of a candidate.

A line is ``{"id", "entities": [{"start", "end", "type", "region"}]}``; ``text`` may stand for
``start`` and ``end``, and ``region`` may be a list of one, as H-Index prints it.

*None* is null, or the index that the system keeps for it:

- 0 (MQSPN): candidates then count from 1.
- K (H-Index: 16, or whatever number of candidates the model chose from): candidates count from 0,
  and an index from the number of candidates up to K - 1 is padding, a box without area.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gmbench.core.entities import Box, Example, Prediction
from gmbench.core.records import Fields
from gmbench.scoring.importers.common import ZERO, Imported, Places, import_lines


def read_index(
    path: Path, gold: Sequence[Example], candidates: Mapping[str, Sequence[Box]], none: int
) -> Imported:
    """Predictions that name candidates, given by example id, best first.

    ``none`` is the index that means *none*: 0, or the number of candidates the model chose from.

    Raises:
        InputError: as of ``import_lines``; an index that names no candidate.
    """

    def entities(fields: Fields, places: Places) -> Iterator[Prediction]:
        optional = ("start", "end", "text", "score")
        for row in fields.rows("entities", ("type", "region"), optional):
            yield _prediction(row, places, candidates[fields.text("id")], none)

    return import_lines(path, gold, "entities", entities)


def _prediction(row: Fields, places: Places, candidates: Sequence[Box], none: int) -> Prediction:
    start, end = places.place(row.text("text")) if row.has("text") else row.span(len(places.words))
    score = row.number("score") if row.has("score") else 1.0
    index = row.value("region")
    if isinstance(index, list) and len(index) == 1:
        index = index[0]
    if index is not None and (type(index) is not int or index < 0):
        raise row.error(f"region must be the index of one candidate or null, not {index!r}")
    if index is None or index == none:
        return Prediction(start, end, row.text("type"), None, score, region=0)
    slot = index if none else index - 1
    padded = max(none, len(candidates))
    if slot >= padded or (none and index > none):
        raise row.error(
            f"region {index} names none of {padded} candidates (they count from "
            f"{0 if none else 1}, and {none} is none)"
        )
    box = candidates[slot] if slot < len(candidates) else ZERO
    return Prediction(start, end, row.text("type"), box, score, region=slot + 1)
