"""What the throw-away configuration tree of test_config.py names in its _target_ nodes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

NOT_CALLABLE = 3


class Network:
    def __init__(
        self,
        *,
        text_encoder: object,
        vision_encoder: object,
        tokenizer: object,
        type_names: Sequence[str],
        num_queries: int = 8,
        dropout: float = 0.1,
        span: Literal["joint", "argmax"] = "joint",
        sizes: tuple[int, int] = (1, 2),
        names: Sequence[str] | None = None,
    ) -> None:
        self.num_queries = num_queries


class Part:
    def __init__(self, **anything: Any) -> None:
        self.anything = anything


class Matcher:
    def __init__(self, *, terms: Mapping[str, Part], repeat_ratio: float = 0.0) -> None:
        self.terms = terms


class Source:
    def __init__(self, *, name: str, root: Path, world: object = None, limit: int | None) -> None:
        if not Path(root).is_dir():
            raise FileNotFoundError(f"no folder {root}")


def regions(folder: str, k: int = 100, missing: Literal["error", "none"] = "error") -> None:
    """A function may build a part too."""
