"""The state of every random generator of a process, in plain tensors."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RandomState:
    """Generators of torch (CPU and the process's GPU), numpy and Python.

    Attributes:
        torch: of the CPU.
        cuda: of the GPU; empty without one.
        numpy, python: as their libraries give them.
    """

    torch: Tensor
    cuda: tuple[Tensor, ...]
    numpy: tuple[Any, ...]
    python: tuple[Any, ...]

    @classmethod
    def now(cls) -> Self:
        """As the generators stand."""
        # Of this process's own GPU alone: to ask another would take memory there.
        used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        cuda = (torch.cuda.get_rng_state(),) if used else ()
        numpy: Any = np.random.get_state(legacy=True)
        return cls(torch=torch.get_rng_state(), cuda=cuda, numpy=numpy, python=random.getstate())

    def restore(self) -> None:
        """Put the generators back to this state; a GPU that is not there is passed over."""
        torch.set_rng_state(self.torch)
        if self.cuda and torch.cuda.is_available():
            torch.cuda.set_rng_state(self.cuda[0])
        np.random.set_state(self.numpy)
        random.setstate(self.python)

    def tensors(self) -> dict[str, Tensor]:
        """Byte tensors by name."""
        kind, keys, *rest = self.numpy
        plain = json.dumps({"numpy": [kind, keys.tolist(), *rest], "python": self.python})
        text = torch.frombuffer(bytearray(plain.encode()), dtype=torch.uint8)
        return {"torch": self.torch, "plain": text} | ({"cuda": self.cuda[0]} if self.cuda else {})

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The state that :meth:`tensors` describes."""
        plain = json.loads(bytes(tensors["plain"].cpu().numpy()))
        kind, keys, *rest = plain["numpy"]
        version, internal, gauss = plain["python"]
        return cls(
            torch=tensors["torch"].cpu(),
            cuda=(tensors["cuda"].cpu(),) if "cuda" in tensors else (),
            numpy=(kind, np.asarray(keys, dtype=np.uint32), *rest),
            python=(version, tuple(internal), gauss),
        )
