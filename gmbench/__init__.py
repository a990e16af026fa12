"""gmbench: one framework to train, score and compare Grounded Multimodal NER models."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gmbench.serving.predictor import load as load

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``gmbench.load``, imported when it is first asked for: verbs start without torch."""
    if name == "load":
        from importlib import import_module

        return import_module("gmbench.serving.predictor").load
    raise AttributeError(f"module 'gmbench' has no attribute {name!r}")
