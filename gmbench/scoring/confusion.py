"""Which types are taken for which others, beside what is missed and what is spurious."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gmbench.core.entities import Entity, Prediction
from gmbench.scoring.fine_types import coarse

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Types of gold entities against those predicted on their exact spans.

    The diagonal holds the MNER true positives; a row sums to the type's gold entities, a column to
    its predictions.

    Attributes:
        types: all that occur; fine ones of one parent stand together.
        counts: a row a gold type, then one of predictions on no gold span (*spurious*); a column a
            predicted type, then one of gold entities whose span nothing predicts (*missed*).
    """

    types: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


def confusion(
    documents: Iterable[tuple[Sequence[Entity], Sequence[Prediction]]],
) -> Confusion:
    """Count pairs of gold entities and predictions, one pair a tweet.

    Where a span has several of either, equal types meet first and the others in their order.
    """
    found: Counter[tuple[str | None, str | None]] = Counter()
    for gold, pred in documents:
        golds, preds = _by_span(gold), _by_span(pred)
        for span in golds | preds:
            given, said = golds.get(span, Counter()), preds.get(span, Counter())
            found.update({(name, name): n for name, n in (given & said).items()})
            left, right = (sorted(rest.elements()) for rest in (given - said, said - given))
            size = max(len(left), len(right))
            found.update(
                zip(
                    [*left, *[None] * (size - len(left))],
                    [*right, *[None] * (size - len(right))],
                    strict=True,
                )
            )
    names = {name for pair in found for name in pair if name is not None}
    types = tuple(sorted(names, key=lambda name: (coarse(name), name)))
    places = (*types, None)
    return Confusion(types, tuple(tuple(found[row, column] for column in places) for row in places))


def _by_span(rows: Sequence[Entity] | Sequence[Prediction]) -> dict[Place, Counter[str]]:
    """How often each type stands on each span."""
    found: dict[Place, Counter[str]] = {}
    for row in rows:
        found.setdefault((row.start, row.end), Counter())[row.type] += 1
    return found
