"""Golden cases: lines that hold their own gold and predictions, ``{"id", "gold", "pred"}``.

The entities are those of gold and prediction files. Sentences are not known, so that a span cannot
lie outside one; further keys (``kind``, ``expected``, ...) are comments.
"""

from pathlib import Path

from gmbench.scoring.files import gold_entities, lines_of, predicted_entities
from gmbench.scoring.protocols import Document


def read_cases(path: Path) -> dict[str, Document]:
    """The cases by id, in the order of the file.

    Raises:
        FileError: a malformed line, or an id that stands twice.
        OSError: the file cannot be read.
    """
    cases = {}
    for fields, id_ in lines_of(path):
        gold = gold_entities(fields, "gold", None)
        cases[id_] = Document(gold, predicted_entities(fields, "pred", None))
    return cases
