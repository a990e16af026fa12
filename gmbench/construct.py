"""Nodes of the configuration tree -> objects; nothing here needs torch."""

from pathlib import Path
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from gmbench.data.regions import RegionSource
from gmbench.data.source import DataSource


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


def build_source(cfg: DictConfig) -> DataSource:
    """The data source of ``cfg.data``."""
    source = construct(cfg.data)
    assert isinstance(source, DataSource)
    return source


def build_regions(cfg: DictConfig, source: DataSource) -> RegionSource | None:
    """The source of candidate regions of ``cfg.regions``, or None.

    For the built-in world the regions lie in the folder that the world was built in.
    """
    if cfg.regions is None or cfg.regions.source is None:
        return None
    node = OmegaConf.to_container(cfg.regions.source, resolve=True)
    assert isinstance(node, dict)
    if source.world is not None and "folder" in node:
        node["folder"] = str(source.folder / Path(node["folder"]).name)
    regions: RegionSource = construct(node)
    return regions
