"""Candidate regions of a user's own picture: ``grid``, ``selective_search``, ``vinvl:PATH`` ..."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gmbench.config.check import target_problems
from gmbench.config.instantiate import construct
from gmbench.config.trust import refuse_foreign
from gmbench.core.entities import Candidates
from gmbench.core.errors import InputError, did_you_mean, fault
from gmbench.data.regions import RegionSource, Size
from gmbench.data.regions.detector import Detector, Ssd, local_folder
from gmbench.data.regions.grid import Pyramid
from gmbench.data.regions.jsonl import JsonLines
from gmbench.data.regions.selective_search import SelectiveSearch
from gmbench.data.regions.vinvl import VinVL

KINDS = ("grid", "selective_search", "ssd", "detector:FOLDER", "vinvl:PATH", "jsonl:PATH")
BEST = {
    "ssd": "candidates are those of MobileNet-SSD (ssd)",
    "selective_search": "candidates are those of selective_search; a detector's fit better",
    "grid": "candidates are a fixed grid of boxes; a detector's or selective_search's fit better",
}
"""What works on any picture without being told more, the best first, and how answers name it."""
PROPOSERS: dict[str, type[Any]] = {
    "ssd": Ssd,
    "selective_search": SelectiveSearch,
    "grid": Pyramid,
    "detector": Detector,
}
"""Sources that need nothing but the picture."""


@dataclass(frozen=True)
class _OneFile:
    """The candidates of one npz file, whatever the post is called."""

    source: VinVL
    name: str

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        return self.source(id=self.name, image=image, size=size)


def source_of_run(config: Mapping[str, Any], **asked: Any) -> RegionSource | None:
    """The run's own source with its own settings if it needs the picture alone; None otherwise.

    Args:
        config: the run's.
        asked: settings that take the place of the run's, where the source has them.

    Raises:
        InputError: its settings are wrong, or its package or weights are not on this machine.
    """
    target = _node(config).get("_target_")
    kind = next((kind for kind in PROPOSERS if target == _target(kind)), None)
    return None if kind is None else _proposer(kind, config, asked)


def _proposer(kind: str, config: Mapping[str, Any], asked: Mapping[str, Any]) -> RegionSource:
    """A source of ``PROPOSERS``, with the run's settings if it was trained on its candidates."""
    node = _node(config)
    own = node if node.get("_target_") == _target(kind) else {}
    known = {field.name for field in fields(PROPOSERS[kind])} - {"cache"}
    settings = {name: value for name, value in {**own, **asked}.items() if name in known}
    if kind == "detector":
        folder = local_folder(str(settings.get("model")))
        if folder is None:
            what = "neither a folder nor in the hub's cache on this machine"
            raise fault(str(settings.get("model")), what, "name it: --regions detector:FOLDER")
        settings["model"] = str(folder)
    settings["_target_"] = _target(kind)
    refuse_foreign({"source": settings}, (), "regions", ["source"])
    for line in target_problems(settings, {}, "regions.source"):
        raise InputError(line)
    source: RegionSource = construct(settings, "regions.source")
    return source


def _node(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return (config.get("regions") or {}).get("source") or {}


def _target(kind: str) -> str:
    return f"{PROPOSERS[kind].__module__}.{PROPOSERS[kind].__qualname__}"


def best_source(count: int) -> tuple[RegionSource, str]:
    """The first of ``BEST`` whose packages are installed and sound, and what to tell of it."""
    for kind, note in BEST.items():
        try:
            return region_source(kind, count), note
        except InputError:
            continue
    raise AssertionError("a grid needs no package")


def region_source(
    spec: str, count: int, config: Mapping[str, Any] | None = None, **asked: Any
) -> RegionSource:
    """The source that ``spec`` names.

    Args:
        spec: one of ``KINDS``.
        count: number of candidates per picture, unless the run's own settings say otherwise.
        config: the run's; if it was trained on this kind of candidates, its settings hold.
        asked: settings that take the place of the run's, where the source has them.

    Raises:
        InputError: there is no such kind, its path is missing or wrong, or a package is.
    """
    kind, _, path = spec.partition(":")
    known = [name.partition(":")[0] for name in KINDS]
    if kind not in known:
        hint = did_you_mean(kind, known)
        raise InputError(f"regions {spec!r}: no such kind{hint} (kinds: {', '.join(KINDS)})")
    if kind in BEST and path:
        raise InputError(f"regions {spec!r}: {kind} takes no path")
    if kind not in BEST and (not path or not Path(path).exists()):
        example = next(name for name in KINDS if name.startswith(kind))
        raise InputError(f"regions {spec!r}: {'no such path' if path else f'write {example}'}")
    if kind in PROPOSERS:
        config = config or {}
        own = _node(config).get("_target_") == _target(kind)
        asked = {"k": count, **asked} if not own else asked
        return _proposer(kind, config, {**asked, "model": path} if path else asked)
    if kind == "jsonl":
        return JsonLines(path=Path(path), k=count)
    if Path(path).is_dir():
        return VinVL(folder=Path(path), k=count)
    name = Path(path).name
    if not name.endswith(".jpg.npz"):
        raise InputError(f"regions {spec!r}: the file's name must end in .jpg.npz")
    return _OneFile(VinVL(folder=Path(path).parent, k=count), name.removesuffix(".jpg.npz"))
