"""The recipe: every setting of the pretraining, what came out, and the check of the files."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILES = ("text.safetensors", "vision.safetensors", "tokenizer.json")
RECIPE = "recipe.json"


@dataclass(frozen=True, kw_only=True)
class TextRecipe:
    """The schedule of the small BERT.

    Attributes:
        sentences: drawn from a cast of ``cast`` invented entities.
        steps, batch, rate: AdamW with warm-up and cosine decay; ``rate`` is the peak.
        masked: share of the words masked for MLM; a word's pieces are masked together.
    """

    cast: int = 3000
    sentences: int = 48000
    steps: int = 3000
    batch: int = 24
    rate: float = 1.0e-3
    masked: float = 0.15


@dataclass(frozen=True, kw_only=True)
class VisionRecipe:
    """The schedule of the small ViT.

    Attributes:
        image, crop: sides in pixels of a squashed scene and of a letterboxed crop.
        scenes: distinct pictures of a cast of ``cast`` entities; crops are cut from them.
        steps, batch, crops, rate: scenes and crops a step; AdamW, warm-up, cosine decay.
    """

    image: int = 96
    crop: int = 48
    cast: int = 900
    scenes: int = 9000
    steps: int = 5000
    batch: int = 12
    crops: int = 40
    rate: float = 1.0e-3


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the weights, but for versions and machine."""

    seed: int = 770_001
    text: TextRecipe = field(default_factory=TextRecipe)
    vision: VisionRecipe = field(default_factory=VisionRecipe)

    def settings(self) -> dict[str, Any]:
        """Nested plain values."""
        return asdict(self)


def sha256(path: Path) -> str:
    """Digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check(folder: Path) -> list[str]:
    """Compare the files with the digests of their recipe.

    Returns:
        One line for each fault; empty = all is well.
    """
    path = folder / RECIPE
    if not path.is_file():
        return [f"{path}: not there; run python -m experiments.pretrain_tiny"]
    digests: dict[str, str] = json.loads(path.read_text())["sha256"]
    faults = []
    for name in FILES:
        file = folder / name
        if not file.is_file():
            faults.append(f"{file}: not there; run python -m experiments.pretrain_tiny")
        elif digests.get(name) != (found := sha256(file)):
            faults.append(
                f"{file}: sha256 {found[:12]}..., but {RECIPE} says "
                f"{str(digests.get(name))[:12]}..."
            )
    return faults
