"""Fine entity types and their parents: the 51 of Twitter-FMNERG under its 8.

Types are compared as strings everywhere else; only this module knows which is which.
"""

from collections.abc import Iterable
from dataclasses import replace

from gmbench.core.entities import Entity, Prediction

FINE: dict[str, tuple[str, ...]] = {
    "person": (
        "actor", "artist", "athlete", "author", "businessman", "character", "coach", "director",
        "intellectual", "journalist", "musician", "person_other", "politician",
    ),
    "location": (
        "city", "continent", "country", "location_other", "park", "road", "state",
    ),
    "building": (
        "building_other", "cultural_place", "entertainment_place", "sports_facility",
    ),
    "organization": (
        "band", "company", "educational_institution", "government_agency", "news_agency",
        "organization_other", "political_party", "social_organization", "sports_league",
        "sports_team",
    ),
    "product": ("brand_name_products", "game", "product_other", "software"),
    "art": ("art_other", "film_and_television_works", "magazine", "music", "written_work"),
    "event": ("event_other", "festival", "sports_event"),
    "other": ("animal", "award", "medical_thing", "ordinance", "website"),
}  # fmt: skip
"""By parent type of Twitter-FMNERG, its fine ones."""

PARENTS = {fine: parent for parent, children in FINE.items() for fine in children}
COARSE = ("PER", "LOC", "ORG", "OTHER")
"""The types of Twitter-GMNER: another annotation of the same tweets, no parents of fine ones."""


def coarse(name: str) -> str:
    """The parent of a fine type; any other type stays as it is."""
    return PARENTS.get(name, name)


def with_coarse_gold(entities: Iterable[Entity]) -> tuple[Entity, ...]:
    """The same gold entities with parent types."""
    return tuple(replace(entity, type=coarse(entity.type)) for entity in entities)


def with_coarse_types(predictions: Iterable[Prediction]) -> tuple[Prediction, ...]:
    """The same predictions with parent types."""
    return tuple(replace(guess, type=coarse(guess.type)) for guess in predictions)
