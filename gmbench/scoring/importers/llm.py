"""Plain answers of a language model: JSON somewhere in its text.

A line is ``{"id", "answer"}``. The answer is the JSON itself, or the model's text. In a text the
last list of entities counts, so that no reasoning or draft before it is taken for the answer;
other lists (a box, a reference such as [1]), words and fences of backquotes around it do no harm,
and what precedes ``</think>`` is left out. The list stands alone or under ``entities``; an
entity has

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
OPENING = re.compile(r"[\[{]")
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
    if not isinstance(answer, str):
        rows = _rows(answer)
    else:
        values = list(_values(answer.rpartition("</think>")[2]))
        if not values:
            raise fields.error("no JSON in the answer; [] says that there are no entities")
        lists = [rows for rows in map(_rows, values) if rows is not None]
        rows = next((rows for rows in reversed(lists) if _looks_right(rows)), None)
    if rows is None:
        raise fields.error("the answer holds no list of entities; [] says that there are none")
    return rows


def _rows(value: Any) -> list[Any] | None:
    """The list that a JSON value is, or has under ``entities``."""
    if isinstance(value, Mapping):
        value = value.get("entities")
    return value if isinstance(value, list) else None


def _looks_right(rows: list[Any]) -> bool:
    return all(isinstance(row, Mapping) for row in rows)


def _values(text: str) -> Iterator[Any]:
    """The JSON lists and objects in a text, one behind the other, none inside another."""
    decoder, start = json.JSONDecoder(), 0
    while (opening := OPENING.search(text, start)) is not None:
        start = opening.start() + 1
        try:
            value, start = decoder.raw_decode(text, opening.start())
        except ValueError:
            continue
        except RecursionError:  # the next bracket would nest as deeply
            return
        yield value


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
