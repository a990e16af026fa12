"""Answers as JSON: one object a post, or the lines that ``gmbench.score`` reads."""

import json
from typing import TYPE_CHECKING, Any

from gmbench.core.entities import Prediction

if TYPE_CHECKING:
    from gmbench.serving.predictor import Answer


def full(answer: "Answer") -> dict[str, Any]:
    """Everything: words with their places, entities with text and places, notes.

    ``start`` and ``end`` are words, both inclusive; ``chars`` are characters of ``text``, the
    second exclusive; ``box`` is xyxy pixels of the picture of ``size``, null for none.
    """
    post = answer.post
    return {
        "id": post.id,
        "text": post.text,
        "words": list(post.words),
        "size": None if answer.size is None else list(answer.size),
        "entities": [
            {
                "start": found.start,
                "end": found.end,
                "type": found.type,
                "text": surface(answer, found),
                "chars": [post.places[found.start][0], post.places[found.end][1]],
                "box": None if found.box is None else [round(side, 2) for side in found.box],
                "score": round(found.score, 4),
            }
            for found in answer.predictions
        ],
        "notes": list(answer.notes),
    }


def scorable(answer: "Answer") -> dict[str, Any]:
    """A line of predictions as ``gmbench.score`` reads them, nothing rounded."""
    return {
        "id": answer.post.id,
        "entities": [
            {"start": p.start, "end": p.end, "type": p.type, "box": p.box, "score": p.score}
            for p in answer.predictions
        ],
    }


def surface(answer: "Answer", found: Prediction) -> str:
    """The entity as the text has it."""
    places = answer.post.places
    return answer.post.text[places[found.start][0] : places[found.end][1]]


def line_of(plain: dict[str, Any]) -> str:
    """One line of JSON, ready to be written."""
    return json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n"
