"""Baselines without learning, and the upper bound of one region per type.

Each is a set of predictions, counted by the same scorer as a model's.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gmbench.core.entities import Box, Example, Prediction
from gmbench.core.iou import pairwise_iou
from gmbench.scoring.counting import TASKS, Task
from gmbench.scoring.grounding import best_region_a_type

SURE = 0.5
"""Least score of a box that stands for what the image shows."""
Predictions = Mapping[str, tuple[Prediction, ...]]
UPPER_BOUND_OF_ONE_REGION = "its ceiling: gold text, one gold box a type"
"""The name of the upper bound of a model that draws one region per type; results store it."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """Predictions made without learning.

    Attributes:
        name: what it does, as a table shows it.
        predictions: by example id.
        tasks: the tasks that it is meant for; given gold spans and types, MNER is right by
            construction and left out.
    """

    name: str
    predictions: Predictions
    tasks: tuple[Task, ...] = TASKS


class NameLookup:
    """The names of the training entities, each with its most frequent type.

    Args:
        train: examples whose entities are remembered; case matters, as in the annotations. Among
            equally frequent types the first by name wins, so that order changes nothing.
    """

    def __init__(self, train: Sequence[Example]) -> None:
        seen: dict[tuple[str, ...], Counter[str]] = {}
        for example in train:
            for entity in example.entities:
                surface = example.words[entity.start : entity.end + 1]
                seen.setdefault(surface, Counter())[entity.type] += 1
        self._types = {
            surface: min(types, key=lambda name: (-types[name], name))
            for surface, types in seen.items()
        }
        self._longest = max(map(len, self._types), default=0)

    def find(self, words: Sequence[str]) -> list[tuple[int, int, str]]:
        """Start, end (inclusive) and type of names, from the left, longest first, no overlaps."""
        found, start = [], 0
        while start < len(words):
            for end in range(min(start + self._longest, len(words)), start, -1):
                name = self._types.get(tuple(words[start:end]))
                if name is not None:
                    found.append((start, end - 1, name))
                    start = end
                    break
            else:
                start += 1
        return found


def lookup_with_random_candidate(
    lookup: NameLookup, examples: Sequence[Example], *, seed: int = 0
) -> Baseline:
    """Training names, each with a random candidate region of its image (none if it has none).

    The draw depends on ``seed`` and the example's id alone, not on the order of examples.
    """

    def guesses(example: Example) -> Iterator[Prediction]:
        digest = hashlib.blake2b(f"{seed}\n{example.id}".encode(), digest_size=8).digest()
        rng = random.Random(int.from_bytes(digest))
        boxes = () if example.candidates is None else example.candidates.boxes.tolist()
        for name in lookup.find(example.words):
            slot = rng.randrange(len(boxes)) if boxes else None
            if slot is None:
                yield Prediction(*name)
            else:
                x1, y1, x2, y2 = boxes[slot]
                yield Prediction(*name, (x1, y1, x2, y2), region=slot + 1)

    return _baseline("training names, random candidate", examples, guesses, TASKS)


def types_of_classes(train: Sequence[Example]) -> dict[str, str]:
    """The type that each class of candidates shows most often in training.

    A candidate shows an entity if its IoU with one of the entity's boxes is 0.5 or more. Among
    equally frequent types the first by name wins; a class that shows none has no type.
    """
    shown: dict[str, Counter[str]] = {}
    for example in train:
        found = example.candidates
        if found is None or found.classes is None:
            continue
        for entity in example.entities:
            if entity.groundable:
                best = pairwise_iou(entity.boxes, found.boxes).max(axis=0)
                for name in {found.classes[k] for k, iou in enumerate(best) if iou >= 0.5}:
                    shown.setdefault(name, Counter())[entity.type] += 1
    return {name: min(types, key=lambda tag: (-types[tag], tag)) for name, types in shown.items()}


def lookup_with_largest_of_class(
    lookup: NameLookup, types: Mapping[str, str], examples: Sequence[Example]
) -> Baseline:
    """Training names, each with the largest candidate of a class of its type, or no box.

    Candidates below a score of ``SURE`` do not count, where the detector gives scores; a box that
    an earlier name took is not taken again.

    Args:
        lookup: the names.
        types: by class of the candidates.
        examples: with candidates that have classes.
    """

    def guesses(example: Example) -> Iterator[Prediction]:
        found = example.candidates
        left: list[tuple[float, int, str]] = []  # minus the area, place, type
        if found is not None and found.classes is not None:
            sides = found.boxes[:, 2:] - found.boxes[:, :2]
            areas, scores = sides.prod(axis=1), found.scores
            left = sorted(
                (-areas[index], index, types[name])
                for index, name in enumerate(found.classes)
                if name in types and (scores is None or scores[index] >= SURE)
            )
        for name in lookup.find(example.words):
            best = next((one for one in left if one[2] == name[2]), None)
            if best is None or found is None:
                yield Prediction(*name)
            else:
                left.remove(best)
                x1, y1, x2, y2 = found.boxes[best[1]].tolist()
                yield Prediction(*name, (x1, y1, x2, y2), region=best[1] + 1)

    return _baseline("training names, largest box of their class", examples, guesses, TASKS)


def gold_text_with_full_image(examples: Sequence[Example]) -> Baseline:
    """Gold spans and types, and the whole image as the box of every groundable entity.

    Raises:
        ValueError: an example with a groundable entity has no known image size.
    """

    def guesses(example: Example) -> Iterator[Prediction]:
        for entity in example.entities:
            if entity.groundable and example.size is None:
                raise ValueError(f"example {example.id!r}: the size of its image is not known")
            width, height = example.size or (0, 0)
            box = (0.0, 0.0, float(width), float(height)) if entity.groundable else None
            yield Prediction(entity.start, entity.end, entity.type, box)

    return _baseline("gold text, whole image", examples, guesses)


def baselines(
    train: Sequence[Example],
    examples: Sequence[Example],
    *,
    one_region_a_type: bool = False,
    seed: int = 0,
) -> tuple[Baseline, ...]:
    """Every baseline that ``examples`` allow; some need candidates or image sizes.

    Args:
        train: whose names may be remembered.
        examples: the split that is scored.
        one_region_a_type: add the upper bound of a model that draws one box, or none, for all
            entities of a type: gold text with the region that is right for most of them.
        seed: of random draws.
    """
    lookup = NameLookup(train)

    def names(example: Example) -> Iterator[Prediction]:
        return (Prediction(*name) for name in lookup.find(example.words))

    built = [_baseline("training names, no box", examples, names, TASKS)]
    if any(example.candidates is not None for example in examples):
        built.append(lookup_with_random_candidate(lookup, examples, seed=seed))
    if types := types_of_classes(train):
        built.append(lookup_with_largest_of_class(lookup, types, examples))
    built.append(_baseline("gold text, no box", examples, lambda e: _gold(e, {})))
    if all(e.size is not None or not any(x.groundable for x in e.entities) for e in examples):
        built.append(gold_text_with_full_image(examples))
    if one_region_a_type:
        best = _baseline(
            UPPER_BOUND_OF_ONE_REGION, examples, lambda e: _gold(e, best_region_a_type(e.entities))
        )
        built.append(best)
    return tuple(built)


def _baseline(
    name: str,
    examples: Sequence[Example],
    guesses: Callable[[Example], Iterable[Prediction]],
    tasks: tuple[Task, ...] = ("gmner", "eeg"),
) -> Baseline:
    return Baseline(name, {e.id: tuple(guesses(e)) for e in examples}, tasks)


def _gold(example: Example, boxes: Mapping[str, Box | None]) -> Iterator[Prediction]:
    """The gold text with one box, or none, for each type."""
    for entity in example.entities:
        yield Prediction(entity.start, entity.end, entity.type, boxes.get(entity.type))
