"""Where two plain records differ, leaf by leaf, by the keys that lead there."""

import math
from collections.abc import Mapping
from typing import Any


def differences(stored: Any, found: Any, key: str = "", tolerance: float = 0.0) -> list[str]:
    """One line for each leaf that differs: ``metrics.gmner.tp: stored 3, found 4``.

    Args:
        stored: dictionaries, lists and scalars, as ``to_plain`` gives.
        found: the same, computed again.
        key: what leads to them.
        tolerance: relative; how far two floats may lie apart.
    """
    if isinstance(stored, Mapping) and isinstance(found, Mapping):
        names = dict.fromkeys([*stored, *found])
        return [
            line
            for n in names
            for line in differences(
                stored.get(n, _ABSENT), found.get(n, _ABSENT), f"{key}.{n}" if key else n, tolerance
            )
        ]
    if isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        return [
            line
            for n, (one, other) in enumerate(zip(stored, found, strict=True))
            for line in differences(one, other, f"{key}[{n}]", tolerance)
        ]
    if isinstance(stored, float) and isinstance(found, float):
        near = math.isclose(stored, found, rel_tol=tolerance, abs_tol=tolerance)
        return [] if near else [f"{key}: stored {stored!r}, found {found!r}"]
    # 1 and 1.0 are one number in a file, 1 and true are not.
    if stored == found and isinstance(stored, bool) == isinstance(found, bool):
        return []
    return [f"{key}: stored {stored!r}, found {found!r}"]


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


_ABSENT = _Absent()
