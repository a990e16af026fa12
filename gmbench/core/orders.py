"""Orders in which the entities of an example are taught, beside that of its sentence."""

from random import Random

import numpy as np
from numpy.typing import NDArray


def drawn(count: int, seed: int, name: str) -> NDArray[np.int64]:
    """Places ``[count]`` of an example's gold entities in an order that seed and name decide."""
    order = list(range(count))
    Random(f"{seed}/{name}").shuffle(order)
    return np.array(order, dtype=np.int64)
