"""Out of memory: how the error is known, and what the last step was about."""

import dataclasses

import torch
from torch import Tensor

from gmbench.tensors import Batch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ended; torch's allocator on a CPU raises a plain RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def shapes_of(batch: Batch) -> str:
    """``16 examples: input_ids 16x41, pixels 16x3x224x224``."""
    named = ((f.name, getattr(batch, f.name)) for f in dataclasses.fields(batch))
    sizes = [f"{n} {'x'.join(map(str, v.shape))}" for n, v in named if isinstance(v, Tensor)]
    return f"{len(batch)} examples: {', '.join(sizes)}"
