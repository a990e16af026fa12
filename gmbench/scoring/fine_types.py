"""Fine entity types and their parents: the 51 of Twitter-FMNERG under its 8.

Types are compared as strings everywhere else; only this module knows which is which.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from gmbench.core.entities import Entity, Prediction

Row = TypeVar("Row", Entity, Prediction)

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


def with_coarse_types(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The same gold entities or predictions with parent types."""
    return tuple(replace(row, type=coarse(row.type)) for row in rows)
