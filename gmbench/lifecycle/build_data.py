"""The data set and the candidate regions of a run; nothing here needs torch."""

from pathlib import Path

from gmbench.config.instantiate import construct
from gmbench.config.schema import Settings
from gmbench.data.regions import RegionSource
from gmbench.data.source import DataSource


def build_source(settings: Settings) -> DataSource:
    """The data set."""
    source = construct(settings.data, "data")
    assert isinstance(source, DataSource)
    return source


def build_regions(settings: Settings, source: DataSource) -> RegionSource | None:
    """The source of candidate regions; None where there is none or the model reads none.

    For the built-in world the regions lie in the folder that the world was built in.
    """
    node = settings.regions.source
    if node is None or "regions" not in settings.model.inputs:
        return None
    if source.world is not None and "folder" in node:
        node = {**node, "folder": str(source.folder / Path(node["folder"]).name)}
    regions: RegionSource = construct(node, "regions.source")
    return regions
