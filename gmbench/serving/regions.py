"""Where candidate regions of a user's own picture come from: ``grid``, ``vinvl:FOLDER`` ..."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmbench.core.entities import Candidates
from gmbench.core.errors import did_you_mean
from gmbench.data.regions import RegionSource, Size
from gmbench.data.regions.grid import LEVELS, Pyramid
from gmbench.data.regions.jsonl import JsonLines
from gmbench.data.regions.selective_search import SelectiveSearch
from gmbench.data.regions.vinvl import VinVL

KINDS = {
    "grid": "boxes of a fixed pyramid; needs nothing",
    "selective_search": "OpenCV's; pip install 'gmbench[regions]'",
    "vinvl:PATH": "a folder of <id>.jpg.npz, or one such file",
    "jsonl:PATH": 'any detector\'s: {"id", "boxes": [[x1, y1, x2, y2], ...]} a line, best first',
}


@dataclass(frozen=True)
class _OneFile:
    """The candidates of one npz file, whatever the post is called."""

    source: VinVL
    name: str

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        return self.source(id=self.name, image=image, size=size)


def source_of_run(config: Mapping[str, Any], number: int) -> RegionSource | None:
    """The run's own source where it works on any picture, as a grid does; None otherwise.

    Args:
        config: of the run.
        number: of candidates to give.
    """
    source = (config.get("regions") or {}).get("source") or {}
    kind = source.get("_target_")
    if kind == "gmbench.data.regions.grid.Pyramid":
        return Pyramid(levels=[(share, count) for share, count in source.get("levels", LEVELS)])
    if kind == "gmbench.data.regions.selective_search.SelectiveSearch":
        return SelectiveSearch(k=number, max_side=source.get("max_side", 512))
    return None


def region_source(spec: str, number: int) -> RegionSource:
    """The source that ``spec`` names.

    Args:
        spec: ``grid``, ``selective_search``, ``vinvl:PATH`` or ``jsonl:PATH``.
        number: of candidates to give.

    Raises:
        ValueError: there is no such kind, its path is missing or wrong, or a package is.
    """
    kind, _, path = spec.partition(":")
    if kind not in {name.partition(":")[0] for name in KINDS}:
        known = [name.partition(":")[0] for name in KINDS]
        raise ValueError(
            f"regions {spec!r}: no such kind{did_you_mean(kind, known)} (kinds: {', '.join(KINDS)})"
        )
    if kind in ("grid", "selective_search"):
        if path:
            raise ValueError(f"regions {spec!r}: {kind} takes no path")
        return Pyramid() if kind == "grid" else SelectiveSearch(k=number)
    if not path or not Path(path).exists():
        raise ValueError(f"regions {spec!r}: {'no such path' if path else f'write {kind}:PATH'}")
    if kind == "jsonl":
        return JsonLines(path=Path(path), k=number)
    if Path(path).is_dir():
        return VinVL(folder=Path(path), k=number)
    name = Path(path).name
    if not name.endswith(".jpg.npz"):
        raise ValueError(f"regions {spec!r}: the file's name must end in .jpg.npz")
    return _OneFile(VinVL(folder=Path(path).parent, k=number), name.removesuffix(".jpg.npz"))
