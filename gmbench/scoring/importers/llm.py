"""Plain answers of a language model: JSON somewhere in its text.

A line is ``{"id", "answer"}``. The answer is the model's text, in which the first JSON list or
object counts (a fence of backquotes or words around it do no harm), or the JSON itself. It holds a
list of entities, alone or under ``entities``; an entity has

- a name: ``text``, ``entity``, ``name``, ``mention`` or ``span``;
- a type: ``type`` or ``label``, compared as it stands with the types of the gold data;
- a box: ``box``, ``bbox`` or ``bbox_2d``, xyxy pixels of the original image.

*None* is no box key, or null, ``"none"``, ``[]`` or ``[0, 0, 0, 0]``. ``Places`` turns names
into positions. An answer without JSON is an error: replace it by ``[]`` to count it as nothing.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gmbench.core.entities import Example, Prediction
from gmbench.core.records import Fields
from gmbench.scoring.importers.common import Imported, Places, box_or_none, import_lines

NAMES = ("text", "entity", "name", "mention", "span")
TYPES = ("type", "label")
BOXES = ("box", "bbox", "bbox_2d")


def read_llm(path: Path, gold: Sequence[Example]) -> Imported:
    """Answers of a language model.

    Raises:
        InputError: as of ``import_lines``; an answer without JSON, or an entity without name or
            type.
    """

    def entities(fields: Fields, places: Places) -> Iterator[Prediction]:
        for number, row in enumerate(_answered(fields, fields.value("answer")), start=1):
            yield _prediction(fields, f"entity {number}", row, places)

    return import_lines(path, gold, "answer", entities)


def _answered(fields: Fields, answer: Any) -> list[Any]:
    """The list of entities in an answer."""
    if isinstance(answer, str):
        answer = _first_json(fields, answer)
    if isinstance(answer, Mapping):
        answer = answer.get("entities")
    if not isinstance(answer, list):
        raise fields.error("the answer holds no list of entities; [] says that there are none")
    return answer


def _first_json(fields: Fields, text: str) -> Any:
    decoder = json.JSONDecoder()
    for opening in re.finditer(r"[\[{]", text):
        try:
            value, _ = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            continue
        return value
    raise fields.error("no JSON in the answer; [] says that there are no entities")


def _prediction(fields: Fields, name: str, row: Any, places: Places) -> Prediction:
    if not isinstance(row, Mapping):
        raise fields.error(f"{name} is no object but {row!r}")
    entity = Fields(row, f"{fields.where}: {name}")
    entity.check_keys((), (*NAMES, *TYPES, *BOXES, "score"))
    box_key = _one(entity, BOXES, required=False)
    return Prediction(
        *places.place(entity.text(_one(entity, NAMES))),
        entity.text(_one(entity, TYPES)),
        box_or_none(entity, box_key, entity.value(box_key)) if box_key else None,
    )


def _one(entity: Fields, keys: Sequence[str], required: bool = True) -> str:
    """The one of ``keys`` that is there; empty if none is and none is required."""
    there = [key for key in keys if entity.has(key)]
    if len(there) > 1 or (required and not there):
        raise entity.error(f"exactly one of {', '.join(keys)} must be there")
    return there[0] if there else ""
