"""A pipeline: a tagger finds and types the entities, a second stage looks for each in the image."""

from models.pipeline.losses import GroundingLoss, TagLoss
from models.pipeline.model import Pipeline

__all__ = ["GroundingLoss", "Pipeline", "TagLoss"]
