"""gmbench: one framework to train, score and compare Grounded Multimodal NER models."""

__version__ = "0.1.0"
