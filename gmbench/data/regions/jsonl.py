"""Any detector's candidate regions, as JSON lines."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gmbench.core.entities import Candidates
from gmbench.core.errors import MissingRegions, fault, located
from gmbench.core.files import read_lines
from gmbench.core.limits import Count
from gmbench.data.regions import Missing, Size, clipped


@dataclass(frozen=True, kw_only=True)
class JsonLines:
    """One line per image: ``{"id", "boxes": [[x1, y1, x2, y2], ...], "scores": [...]}``.

    The first ``k`` boxes of a line are kept, clipped to the image, those without area left out;
    ``scores`` may be absent. The file is read at the first call.

    Attributes:
        path: UTF-8 text, one object per line, boxes in pixels.
        k: number of boxes of a line to keep.
        missing: what to do if no line has the id.
    """

    path: Path
    k: Count = 16
    missing: Missing = "error"

    def __post_init__(self) -> None:
        # Configuration files give strings.
        object.__setattr__(self, "path", Path(self.path))

    def files(self, id: str) -> tuple[Path, ...]:
        """The file of all lines."""
        return (self.path,)

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """The line's first ``k`` boxes."""
        if id in self._lines:
            return clipped(self._lines[id], size)
        if self.missing == "none":
            return None
        raise MissingRegions(
            located(self.path, f"no line for {id!r}", "add it, or set regions.source.missing=none")
        )

    @cached_property
    def _lines(self) -> dict[str, Candidates]:
        lines: dict[str, Candidates] = {}
        try:
            rows = list(read_lines(self.path))
        except OSError as error:
            raise fault(self.path, f"cannot be read ({error})", "set regions.path") from None
        for number, line in rows:
            if line.strip():
                name, candidates = self._line(number, line)
                if name in lines:
                    raise fault(self.path, f"{name!r} for the second time", line=number)
                lines[name] = candidates
        return lines

    def _line(self, number: int, line: str) -> tuple[str, Candidates]:
        try:
            raw = json.loads(line)
            name = str(raw["id"])
            boxes = np.asarray(raw["boxes"], dtype=np.float64).reshape(-1, 4)
            scores = np.asarray(raw["scores"], np.float64) if raw.get("scores") else None
            if len(boxes) != len(raw["boxes"]) or not np.isfinite(boxes).all():
                raise ValueError("a box is four finite numbers")
            return name, Candidates(boxes=boxes, scores=scores).top(self.k)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise fault(
                self.path,
                f"not a line of candidates ({error})",
                'a line is {"id": "...", "boxes": [[x1, y1, x2, y2], ...], "scores": [...]}',
                line=number,
            ) from None
