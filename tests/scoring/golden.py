"""The golden cases' JSON as records."""

from collections.abc import Mapping, Sequence
from typing import Any

from gmbench.core.entities import Entity, Prediction


def entities(rows: Sequence[Mapping[str, Any]]) -> list[Entity]:
    return [
        Entity(row["start"], row["end"], row["type"], tuple(tuple(box) for box in row["boxes"]))
        for row in rows
    ]


def predictions(rows: Sequence[Mapping[str, Any]]) -> list[Prediction]:
    return [
        Prediction(row["start"], row["end"], row["type"], row["box"] and tuple(row["box"]))
        for row in rows
    ]
