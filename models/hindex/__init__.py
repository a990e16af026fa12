"""H-Index (ACL 2023): entities written one after another, as indices of words and regions."""

from models.hindex.losses import SequenceLoss
from models.hindex.model import HIndex
from models.hindex.outputs import SequenceOutputs
from models.hindex.reader import SequenceReader

__all__ = ["HIndex", "SequenceLoss", "SequenceOutputs", "SequenceReader"]
