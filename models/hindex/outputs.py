"""What H-Index answers: row i is the i-th entity of the sequence, given those before it."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from gmbench.core.tensors import Outputs

FIELDS = 4
"""Tokens of an entity, in the order in which they are written: first word, last word, type, slot
of its region. In a written sequence type 0 stands where no entity is, slot -1 where no candidate
shows it."""


@dataclass(frozen=True, eq=False)
class SequenceOutputs(Outputs):
    """The rows hold the scores of each entity's tokens, given the tokens before.

    ``type_logits`` are log-probabilities: index 0 = the sequence ends in place of this entity.

    Attributes:
        gold: the gold entity that each row is taught, -1 behind the last; None without gold.
        entities: as found: first word, last word, type and slot; type 0 behind the last.
        scores: log-probability of each of them among what may be written there.
    """

    gold: Int[Tensor, "B Q"] | None = None
    entities: Int[Tensor, "B Q 4"] | None = None
    scores: Float[Tensor, "B Q"] | None = None
