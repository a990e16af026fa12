"""MNER-QG (AAAI 2023): each entity type is a question that sentence and image answer."""

from models.mner_qg.decode import SpanDecoder
from models.mner_qg.losses import ExistenceLoss, GroundingLoss, TextLoss
from models.mner_qg.model import MNERQG
from models.mner_qg.outputs import SpanOutputs

__all__ = ["MNERQG", "ExistenceLoss", "GroundingLoss", "SpanDecoder", "SpanOutputs", "TextLoss"]
