"""Nodes of the configuration tree -> objects; nothing here needs torch."""

from typing import Any

from hydra.utils import get_object
from omegaconf import OmegaConf


def construct(node: Any, **parts: Any) -> Any:
    """The object that a node describes: ``_target_`` called with the other keys, innermost first.

    Hydra's own ``instantiate`` puts built parts back into the tree, which refuses dataclasses
    whose fields it cannot type; here parts never touch the configuration.

    Args:
        node: a node of the tree, or plain containers.
        parts: further arguments of the outermost constructor.
    """
    if OmegaConf.is_config(node):
        node = OmegaConf.to_container(node, resolve=True)
    if isinstance(node, list):
        return [construct(item) for item in node]
    if not isinstance(node, dict):
        return node
    arguments = {key: construct(value) for key, value in node.items() if key != "_target_"}
    return get_object(node["_target_"])(**arguments, **parts) if "_target_" in node else arguments
