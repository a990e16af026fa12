"""Nodes of the configuration tree -> objects; nothing here needs torch."""

from typing import Any

from hydra.utils import get_object
from omegaconf import OmegaConf

from gmbench.core.errors import InputError


def construct(node: Any, key: str = "", /, **parts: Any) -> Any:
    """The object that a node describes: ``_target_`` called with the other keys, innermost first.

    Hydra's own ``instantiate`` puts built parts back into the tree, which refuses dataclasses
    whose fields it cannot type; here parts never touch the configuration.

    Args:
        node: a node of the tree, or plain containers.
        key: of the node, for errors.
        parts: further arguments of the outermost constructor.

    Raises:
        InputError: a constructor refuses its arguments with a ``ValueError``.
    """
    if OmegaConf.is_config(node):
        node = OmegaConf.to_container(node, resolve=True)
    if isinstance(node, list):
        return [construct(item, f"{key}[{index}]") for index, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    arguments = {
        name: construct(value, f"{key}.{name}" if key else str(name))
        for name, value in node.items()
        if name != "_target_"
    }
    if "_target_" not in node:
        return arguments
    try:
        return get_object(node["_target_"])(**arguments, **parts)
    except InputError:
        raise
    except ValueError as error:
        what = " ".join(str(error).split())
        raise InputError(f"{key or node['_target_']}: {what}") from error
