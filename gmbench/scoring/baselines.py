"""What can be had without learning: the figures that a model has to beat on the same split.

Each floor is a set of predictions, counted by the same scorer as any model's.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gmbench.core.entities import Entity, Example, Prediction
from gmbench.scoring.counting import Task
from gmbench.scoring.grounding import best_region_a_type

Predictions = Mapping[str, tuple[Prediction, ...]]
CEILING_OF_ONE_REGION_A_TYPE = "its ceiling: gold text, one gold box a type"
"""Stands among the floors of a model that is built so."""


@dataclass(frozen=True, slots=True, eq=False)
class Floor:
    """Predictions that nothing was learned for.

    Attributes:
        name: what it does, as a table shows it.
        predictions: by example id.
        tasks: the tasks that it says something about; where gold spans and types are given, MNER
            is right by construction and left out.
    """

    name: str
    predictions: Predictions
    tasks: tuple[Task, ...] = ("gmner", "mner", "eeg")


class NameLookup:
    """The names of the training entities, each with its most frequent type.

    Args:
        train: examples whose entities are remembered; case matters, as in the annotations. Equal
            frequencies are settled by the type's name, so that order changes nothing.
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
        """Start, end (inclusive) and type of the names in a sentence, from the left, longest first.

        Names found do not overlap.
        """
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


def lookup_with_none(lookup: NameLookup, examples: Sequence[Example]) -> Floor:
    """Training names, each said not to be in the image."""
    predictions = {
        example.id: tuple(Prediction(*name) for name in lookup.find(example.words))
        for example in examples
    }
    return Floor("training names, no box", predictions)


def lookup_with_random_candidate(
    lookup: NameLookup, examples: Sequence[Example], *, seed: int = 0
) -> Floor:
    """Training names, each with a random candidate region of its image (none if it has none).

    The draw depends on ``seed`` and the example's id alone, not on the order of examples.
    """
    predictions = {}
    for example in examples:
        digest = hashlib.blake2b(f"{seed}\n{example.id}".encode(), digest_size=8).digest()
        rng = random.Random(int.from_bytes(digest))
        boxes = () if example.candidates is None else example.candidates.boxes.tolist()
        found = []
        for start, end, name in lookup.find(example.words):
            if not boxes:
                found.append(Prediction(start, end, name))
                continue
            slot = rng.randrange(len(boxes))
            x1, y1, x2, y2 = boxes[slot]
            found.append(Prediction(start, end, name, (x1, y1, x2, y2), region=slot + 1))
        predictions[example.id] = tuple(found)
    return Floor("training names, random candidate", predictions)


def gold_text_with_none(examples: Sequence[Example]) -> Floor:
    """Gold spans and types, each said not to be in the image: the share that is not groundable."""
    predictions = {
        example.id: tuple(Prediction(e.start, e.end, e.type) for e in example.entities)
        for example in examples
    }
    return Floor("gold text, no box", predictions, tasks=("gmner", "eeg"))


def gold_text_with_full_image(examples: Sequence[Example]) -> Floor:
    """Gold spans and types, and the whole image as the box of every groundable entity.

    Raises:
        ValueError: an example with a groundable entity has no known image size.
    """

    def guess(example: Example, entity: Entity) -> Prediction:
        if not entity.groundable:
            return Prediction(entity.start, entity.end, entity.type)
        if example.size is None:
            raise ValueError(f"example {example.id!r}: the size of its image is not known")
        width, height = example.size
        box = (0.0, 0.0, float(width), float(height))
        return Prediction(entity.start, entity.end, entity.type, box)

    predictions = {
        example.id: tuple(guess(example, entity) for entity in example.entities)
        for example in examples
    }
    return Floor("gold text, whole image", predictions, tasks=("gmner", "eeg"))


def gold_text_with_one_region_a_type(examples: Sequence[Example]) -> Floor:
    """Gold spans and types, and the region that is right for most entities of a type in a tweet.

    No floor but the ceiling of a model that draws one box, or none, for all entities of a type.
    """
    predictions = {}
    for example in examples:
        regions = best_region_a_type(example.entities)
        predictions[example.id] = tuple(
            Prediction(e.start, e.end, e.type, regions[e.type]) for e in example.entities
        )
    return Floor(CEILING_OF_ONE_REGION_A_TYPE, predictions, tasks=("gmner", "eeg"))


def floors(
    train: Sequence[Example],
    examples: Sequence[Example],
    *,
    one_region_a_type: bool = False,
    seed: int = 0,
) -> tuple[Floor, ...]:
    """Every floor that ``examples`` allow: without candidates or image sizes some are left out.

    Args:
        train: whose names may be remembered.
        examples: of the split that is scored.
        one_region_a_type: the ceiling of a model that is built so stands among them.
        seed: of random draws.
    """
    lookup = NameLookup(train)
    built = [lookup_with_none(lookup, examples)]
    if any(example.candidates is not None for example in examples):
        built.append(lookup_with_random_candidate(lookup, examples, seed=seed))
    built.append(gold_text_with_none(examples))
    if all(e.size is not None or not any(x.groundable for x in e.entities) for e in examples):
        built.append(gold_text_with_full_image(examples))
    if one_region_a_type:
        built.append(gold_text_with_one_region_a_type(examples))
    return tuple(built)
