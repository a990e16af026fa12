"""Candidate regions of a user's own picture: ``grid``, ``selective_search``, ``vinvl:PATH`` ..."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmbench.core.entities import Candidates
from gmbench.core.errors import InputError, did_you_mean
from gmbench.data.regions import RegionSource, Size
from gmbench.data.regions.detector import Ssd
from gmbench.data.regions.grid import LEVELS, Pyramid
from gmbench.data.regions.jsonl import JsonLines
from gmbench.data.regions.selective_search import SelectiveSearch
from gmbench.data.regions.vinvl import VinVL

KINDS = ("grid", "selective_search", "ssd", "vinvl:PATH", "jsonl:PATH")
BEST = {
    "ssd": "candidates are those of MobileNet-SSD (ssd)",
    "selective_search": "candidates are those of selective_search; a detector's fit better",
    "grid": "candidates are a fixed grid of boxes; a detector's or selective_search's fit better",
}
"""What works on any picture, the best first, and how answers tell of it."""


@dataclass(frozen=True)
class _OneFile:
    """The candidates of one npz file, whatever the post is called."""

    source: VinVL
    name: str

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        return self.source(id=self.name, image=image, size=size)


def source_of_run(config: Mapping[str, Any], count: int) -> RegionSource | None:
    """The run's own source if it works on any picture, as a grid does; None otherwise.

    Args:
        config: the run's.
        count: number of candidates per picture.
    """
    source = (config.get("regions") or {}).get("source") or {}
    kind = source.get("_target_")
    if kind == "gmbench.data.regions.grid.Pyramid":
        return Pyramid(levels=[(share, count) for share, count in source.get("levels", LEVELS)])
    if kind == "gmbench.data.regions.selective_search.SelectiveSearch":
        return SelectiveSearch(k=count, max_side=source.get("max_side", 512))
    return None


def best_source(count: int) -> tuple[RegionSource, str]:
    """The first of ``BEST`` whose packages are installed and sound, and what to tell of it."""
    for kind, note in BEST.items():
        try:
            return region_source(kind, count), note
        except InputError:
            continue
    raise AssertionError("a grid needs no package")


def region_source(spec: str, count: int) -> RegionSource:
    """The source that ``spec`` names.

    Args:
        spec: one of ``KINDS``.
        count: number of candidates per picture.

    Raises:
        InputError: there is no such kind, its path is missing or wrong, or a package is.
    """
    kind, _, path = spec.partition(":")
    known = [name.partition(":")[0] for name in KINDS]
    if kind not in known:
        hint = did_you_mean(kind, known)
        raise InputError(f"regions {spec!r}: no such kind{hint} (kinds: {', '.join(KINDS)})")
    if kind in BEST:
        if path:
            raise InputError(f"regions {spec!r}: {kind} takes no path")
        if kind == "ssd":
            return Ssd(k=count)
        return Pyramid() if kind == "grid" else SelectiveSearch(k=count)
    if not path or not Path(path).exists():
        raise InputError(f"regions {spec!r}: {'no such path' if path else f'write {kind}:PATH'}")
    if kind == "jsonl":
        return JsonLines(path=Path(path), k=count)
    if Path(path).is_dir():
        return VinVL(folder=Path(path), k=count)
    name = Path(path).name
    if not name.endswith(".jpg.npz"):
        raise InputError(f"regions {spec!r}: the file's name must end in .jpg.npz")
    return _OneFile(VinVL(folder=Path(path).parent, k=count), name.removesuffix(".jpg.npz"))
