"""The file that MQSPN's released code writes: one JSON list of all sentences.

``store_predictions`` of its ``src/evaluator.py`` makes of each sentence ``{"tokens",
"pre_entities": [{"entity_type", "start", "end", "region", ...}], "image_id",
"candidate_regions", ...}``: spans of words, ``end`` inclusive; ``region`` counts the candidates
from 1, and 0 is *none*; ``image_id`` is the image's file. (It calls ``util.get_region_box``, which
the release lacks; its value is not needed here.) The type that the data calls OTHER is MISC there.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from gmbench.core.entities import Example, Prediction
from gmbench.core.errors import InputError
from gmbench.core.files import read_file
from gmbench.core.records import Fields
from gmbench.scoring.files import check_complete, example_of
from gmbench.scoring.importers.common import Imported


def read_mqspn(path: Path, gold: Sequence[Example]) -> Imported:
    """Predictions of all sentences, with the boxes of the candidates that they name.

    Raises:
        InputError: not such a file; a sentence that is missing, unknown, there twice or not the
            gold data's; a span outside it; a region that is no candidate.
        OSError: the file cannot be read.
    """
    known = {example.id: example for example in gold}
    renamed = {"MISC": "OTHER"}
    if any(entity.type == "MISC" for example in gold for entity in example.entities):
        renamed = {}
    found: dict[str, tuple[Prediction, ...]] = {}
    for number, row in enumerate(_sentences(path), start=1):
        if not isinstance(row, dict):
            raise InputError(f"{path}: sentence {number} is no object")
        fields = Fields(row, f"{path}: sentence {number}")
        id_ = fields.text("image_id").removesuffix(".jpg")
        fields = fields.named(f"{path}: sentence {number}: id {id_!r}")
        example = example_of(id_, known, fields)
        if id_ in found:
            raise fields.error("this id stands twice")
        if fields.texts("tokens") != example.words:
            raise fields.error("its tokens are not the words of the gold data")
        found[id_] = tuple(_predictions(fields, renamed))
    check_complete(path, found, known)
    return Imported({id_: found[id_] for id_ in known})


def _sentences(path: Path) -> list[object]:
    data = read_file(path)
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected one JSON list of all sentences")
    return rows


def _predictions(fields: Fields, renamed: dict[str, str]) -> list[Prediction]:
    candidates = fields.boxes("candidate_regions")
    words = len(fields.texts("tokens"))
    predictions = []
    keys = ("entity_type", "start", "end", "region")
    for row in fields.rows("pre_entities", keys, ("phrase", "region_box")):
        start, end = row.span(words)
        kind, region = row.text("entity_type"), row.index("region")
        if region > len(candidates):
            raise row.error(f"region {region} names none of {len(candidates)} candidates")
        box = candidates[region - 1] if region else None
        predictions.append(Prediction(start, end, renamed.get(kind, kind), box, region=region))
    return predictions
