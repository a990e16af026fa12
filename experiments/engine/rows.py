"""Rows by the keys of ``papers.yaml``, so that a table of ours has exactly the paper's rows."""

from collections.abc import Mapping

from experiments.engine.plan import Variant
from experiments.papers import papers


def rows_of(
    table: str,
    overrides: Mapping[str, str],
    extra: Mapping[str, tuple[str, str]] | None = None,
    weights_of: Mapping[str, str] | None = None,
) -> tuple[Variant, ...]:
    """The variants of a table in the paper's order, then ours.

    Args:
        table: key of the table in ``papers.yaml``.
        overrides: of each of its rows, with spaces between them.
        extra: further rows that the paper does not have: label and overrides.
        weights_of: of these, the ones that train nothing: the row whose weights they test.

    Raises:
        ValueError: a row of the paper is missing or there is one that it does not have.
    """
    rows = papers().table(table).rows
    if set(rows) != set(overrides):
        differ = sorted(set(rows) ^ set(overrides))
        raise ValueError(f"{table}: rows differ from the paper's in {', '.join(differ)}")
    ours = [
        Variant(key=key, label=row.title, overrides=tuple(overrides[key].split()))
        for key, row in rows.items()
    ]
    more = [
        Variant(
            key=key,
            label=label,
            overrides=tuple(given.split()),
            extra=True,
            weights_of=(weights_of or {}).get(key),
        )
        for key, (label, given) in (extra or {}).items()
    ]
    return (*ours, *more)


def curve(key: str, values: tuple[float, ...]) -> tuple[Variant, ...]:
    """Variants along one setting, in steps."""
    return tuple(
        Variant(key=f"{value:g}", label=f"{value:g}", overrides=(f"{key}={value:g}",), x=value)
        for value in values
    )
