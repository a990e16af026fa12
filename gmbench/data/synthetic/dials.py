"""Settings of generated posts and of the built-in world: everything that decides what is built."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class PostDials:
    """Settings of invented posts. Every float but ``entities`` is a share in 0..1.

    Attributes:
        seed: everything is drawn from it.
        pool: names: ``bench``, or ``pretrain`` for pretraining the tiny encoders.
        cast: number of invented entities.
        ambiguity: share of the entities, persons apart, that bear the name of a person or place.
        pairs: share of the posts with two or more entities in which two share a name; one
            surface may stand inside the other ("Vell", "Vell Runner"). The mentions themselves
            never overlap: flat BIO cannot hold nested or crossing spans, and boxes are found by
            name, so no two entities of a post have equal surfaces.
        entities, entities_min, entities_max: mentions per post: mean and bounds; equal bounds
            fix the number (raise ``words_max`` to make room).
        empty: share of the posts without any entity, where ``entities_min`` is 0.
        words_max: longest post.
        vague: share of the phrases that do not reveal the type.
        cues: share of the mentions whose words tell what it looks like ("in red", "the striped
            ...") or where it is.
        groundable: share of the mentions that the picture shows.
        multi_box: share of these with several instances.
        unseen: share of the mentions in dev and test whose entity training never names.

    Raises:
        ValueError: some settings are out of range; the message names all of them.
    """

    LABEL: ClassVar[str] = "posts"
    MEANS: ClassVar[tuple[str, ...]] = ("entities", "distractors")
    LEAST: ClassVar[Mapping[str, float]] = {
        "cast": 60,
        "entities_max": 1,
        "words_max": 12,
        "entities": 0,
    }
    ORDERED: ClassVar[tuple[tuple[str, str], ...]] = (("entities_min", "entities_max"),)

    seed: int = 1
    pool: str = "bench"
    cast: int = 420
    ambiguity: float = 0.35
    pairs: float = 0.15
    entities: float = 1.7
    entities_min: int = 0
    entities_max: int = 6
    empty: float = 0.04
    words_max: int = 40
    vague: float = 0.15
    cues: float = 0.35
    groundable: float = 0.42
    multi_box: float = 0.09
    unseen: float = 0.4

    def __post_init__(self) -> None:
        values = self.settings()
        shares = [f.name for f in fields(self) if f.type is float and f.name not in self.MEANS]
        faults = [
            f"{name}={values[name]} is not between 0 and 1"
            for name in shares
            if not 0 <= values[name] <= 1
        ]
        faults += [
            f"{name}={values[name]} must be at least {least}"
            for name, least in self.LEAST.items()
            if values[name] < least
        ]
        for low, high in self.ORDERED:
            if values[low] > values[high]:
                faults.append(f"{low}={values[low]} exceeds {high}={values[high]}")
        if self.pool not in ("bench", "pretrain"):
            faults.append(f"pool={self.pool} is neither bench nor pretrain")
        if self.empty == 1:
            faults.append("empty=1 leaves nothing to find")
        if faults:
            raise ValueError(f"{self.LABEL}: " + "; ".join(faults))

    def settings(self) -> dict[str, Any]:
        """Name and value of every setting, in order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, kw_only=True)
class Dials(PostDials):
    """Settings of a world: those of its posts, and of its pictures.

    Attributes:
        train, dev, test: number of tweets per split.
        distractors: mean number of things per picture that no word names.
        confusers: share of these that have the type of something named.
        overlap: how much of a thing another may hide.
        clutter: how busy the background is.
        image_min, image_max: bounds of the picture's longer side in pixels.
        quality: of the jpg files.
        candidates: boxes per picture of the simulated detector.
        candidate_recall: share of the gold boxes with a candidate at IoU >= 0.5, exact per split
            (to the nearest box).
    """

    LABEL = "built-in world"
    LEAST: ClassVar[Mapping[str, float]] = {
        **{"train": 1, "dev": 1, "test": 1, "candidates": 1, "image_min": 32, "distractors": 0},
        **PostDials.LEAST,
    }
    ORDERED = (("image_min", "image_max"), *PostDials.ORDERED)

    train: int = 1500
    dev: int = 300
    test: int = 500
    distractors: float = 1.3
    confusers: float = 0.1
    overlap: float = 0.25
    clutter: float = 0.5
    image_min: int = 200
    image_max: int = 400
    quality: int = 88
    candidates: int = 10
    candidate_recall: float = 0.95
