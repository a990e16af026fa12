"""Where two plain records differ, leaf by leaf, by the keys that lead there."""

from collections.abc import Mapping
from typing import Any


def differences(stored: Any, found: Any, key: str = "") -> list[str]:
    """One line for each leaf that differs: ``metrics.gmner.tp: stored 3, found 4``.

    Args:
        stored: dictionaries, lists and scalars, as ``to_plain`` gives.
        found: the same, computed again.
        key: what leads to them.
    """
    if isinstance(stored, Mapping) and isinstance(found, Mapping):
        names = dict.fromkeys([*stored, *found])
        parts = [
            differences(stored.get(n, _ABSENT), found.get(n, _ABSENT), f"{key}.{n}" if key else n)
            for n in names
        ]
        return [line for part in parts for line in part]
    if isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        parts = [
            differences(a, b, f"{key}[{n}]")
            for n, (a, b) in enumerate(zip(stored, found, strict=True))
        ]
        return [line for part in parts for line in part]
    # 1 and 1.0 are one number in a file, 1 and true are not.
    if stored == found and isinstance(stored, bool) == isinstance(found, bool):
        return []
    return [f"{key}: stored {stored!r}, found {found!r}"]


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


_ABSENT = _Absent()
