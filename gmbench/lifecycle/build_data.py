"""The data set and the candidate regions of a run; nothing here needs torch."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from gmbench.config.compose import stored_settings
from gmbench.config.instantiate import construct
from gmbench.config.schema import Settings
from gmbench.core.errors import InputError
from gmbench.data.regions import RegionSource
from gmbench.data.source import DataSource


def build_source(settings: Settings) -> DataSource:
    """The data set."""
    source = construct(settings.data, "data")
    if not isinstance(source, DataSource):
        raise InputError(f"data._target_: {settings.data['_target_']} is no data set")
    return source


def stored_data(
    folder: Path, root: Path | None = None, trust: Collection[str] = ()
) -> tuple[Settings, DataSource]:
    """The settings in a run folder and its data set; the folder may be a stranger's.

    Nothing outside gmbench is built unless trusted, and no built-in world is drawn but into a
    folder that the caller names.

    Args:
        folder: of the run.
        root: where the data set lies now; None = where ``config.yaml`` says.
        trust: prefixes of further packages whose classes may be built.

    Raises:
        InputError: ``config.yaml`` is missing, malformed or not to be trusted, or the built-in
            world is not there.
    """
    path = folder / "config.yaml"
    settings = stored_settings(path, trust)
    source = build_source(settings)
    if root is not None:
        return settings, replace(source, root=root)
    if source.world is not None and not source.world.place(source.root).is_dir():
        raise InputError(
            f"{path}: its built-in world is not in {source.root}, and a stored configuration draws "
            "none: draw it there with gmbench.prepare, or name a folder (score --gold-root DIR)"
        )
    return settings, source


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
