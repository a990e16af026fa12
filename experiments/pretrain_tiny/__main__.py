"""Pretrain the tiny encoders, or check the shipped weights.

  python -m experiments.pretrain_tiny --check
  python -m experiments.pretrain_tiny --out FOLDER

The weights come from a built-in world whose names, colours and seeds are disjoint from every
preset's. One thread, so that the same versions on the same kind of CPU give the same files.
Exit codes: 0 done, 1 --check found faults, 2 bad command line.
"""

import json
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import gmbench
from experiments.pretrain_tiny.recipe import FILES, RECIPE, Recipe, check, sha256
from gmbench.core.command_line import CommandLine
from gmbench.core.files import write_atomically

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = Path(gmbench.__file__).parent / "nn" / "pretrained"
"""The shipped weights; ``gmbench.nn.weights`` reads the same folder, but imports torch."""
LIMIT = 4_000_000
"""Bytes that text and vision weights may take together."""


def pretrain(recipe: Recipe, folder: Path) -> dict[str, object]:
    """Pretrain both encoders and write weights, tokenizer and recipe.

    Args:
        recipe: every setting.
        folder: where the files go; each is written aside and moved, the recipe last.

    Returns:
        What stands in ``recipe.json``.

    Raises:
        ValueError: the weights are larger than ``LIMIT``.
    """
    import timm
    import tokenizers
    import torch
    import transformers

    from experiments.pretrain_tiny.text import pretrain_text
    from experiments.pretrain_tiny.vision import pretrain_vision
    from experiments.pretrain_tiny.vocabulary import build_tokenizer

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    started = time.process_time()
    text, text_losses = pretrain_text(recipe, tokenizer)
    text_seconds = time.process_time() - started
    vision, vision_losses = pretrain_vision(recipe)
    vision_seconds = time.process_time() - started - text_seconds

    write_atomically(folder / "tokenizer.json", tokenizer.to_str(pretty=True).encode() + b"\n")
    for name, model in (("text", text), ("vision", vision)):
        write_atomically(folder / f"{name}.safetensors", _half(model))
    size = sum((folder / f"{name}.safetensors").stat().st_size for name in ("text", "vision"))
    if size > LIMIT:
        raise ValueError(f"the weights take {size} bytes, more than {LIMIT}; choose smaller sizes")
    record: dict[str, object] = {
        "command": "python -m experiments.pretrain_tiny",
        "settings": recipe.settings(),
        "vocabulary": tokenizer.get_vocab_size(),
        "pixels": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        "losses": {"text": text_losses, "vision": vision_losses},
        "cpu_seconds": {"text": round(text_seconds), "vision": round(vision_seconds)},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "timm": timm.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
        },
        "bytes": size,
        "sha256": {name: sha256(folder / name) for name in FILES},
    }
    write_atomically(folder / RECIPE, (json.dumps(record, indent=2) + "\n").encode())
    return record


def _half(model: "nn.Module") -> bytes:
    """The weights as safetensors in half precision."""
    import torch
    from safetensors.torch import save

    return save(
        {
            name: tensor.to(torch.float16).contiguous()
            for name, tensor in model.state_dict().items()
            if tensor.is_floating_point()
        }
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 1 if the check found faults."""
    parser = CommandLine("python -m experiments.pretrain_tiny", __doc__)
    parser.add_argument("--check", action="store_true", help="only compare files and digests")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the weights")
    options = parser.parse_args(arguments)
    if options.check:
        faults = check(options.out)
        print("\n".join(faults) or f"{options.out}: {len(FILES)} files as recorded")
        return 1 if faults else 0
    record = pretrain(Recipe(), options.out)
    print(json.dumps({key: record[key] for key in ("losses", "cpu_seconds", "bytes")}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
