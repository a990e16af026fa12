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
    """Generators of torch (CPU and each CUDA device), numpy and Python.

    Attributes:
        torch: of the CPU.
        cuda: one a device.
        numpy, python: as their libraries give them.
    """

    torch: Tensor
    cuda: tuple[Tensor, ...]
    numpy: tuple[Any, ...]
    python: tuple[Any, ...]

    @classmethod
    def now(cls) -> Self:
        """As the generators stand."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ()
        numpy: Any = np.random.get_state(legacy=True)
        return cls(
            torch=torch.get_rng_state(), cuda=tuple(cuda), numpy=numpy, python=random.getstate()
        )

    def restore(self) -> None:
        """Put the generators back to this state; devices that are not there are passed over."""
        torch.set_rng_state(self.torch)
        if torch.cuda.is_available():
            for index, state in enumerate(self.cuda[: torch.cuda.device_count()]):
                torch.cuda.set_rng_state(state, index)
        np.random.set_state(self.numpy)
        random.setstate(self.python)

    def tensors(self) -> dict[str, Tensor]:
        """Byte tensors by name."""
        kind, keys, *rest = self.numpy
        plain = json.dumps({"numpy": [kind, keys.tolist(), *rest], "python": self.python})
        text = torch.frombuffer(bytearray(plain.encode()), dtype=torch.uint8)
        cuda = {f"cuda{index}": state for index, state in enumerate(self.cuda)}
        return {"torch": self.torch, "plain": text, **cuda}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The state that :meth:`tensors` describes."""
        plain = json.loads(bytes(tensors["plain"].cpu().numpy()))
        kind, keys, *rest = plain["numpy"]
        version, internal, gauss = plain["python"]
        count = sum(name.startswith("cuda") for name in tensors)
        return cls(
            torch=tensors["torch"].cpu(),
            cuda=tuple(tensors[f"cuda{index}"].cpu() for index in range(count)),
            numpy=(kind, np.asarray(keys, dtype=np.uint32), *rest),
            python=(version, tuple(internal), gauss),
        )
