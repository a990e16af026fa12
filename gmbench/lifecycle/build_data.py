"""The data set and the candidate regions of a configuration; nothing here needs torch."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from gmbench.config.instantiate import construct
from gmbench.data.regions.vinvl import RegionSource
from gmbench.data.source import DataSource


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
