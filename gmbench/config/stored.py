"""``config.yaml`` of a run folder: the configuration that a run was made with."""

from collections.abc import Collection
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gmbench.reporting.records import RecordError

NEEDED = ("data", "model", "regions")


def stored_config(path: Path, needed: Collection[str] = NEEDED) -> DictConfig:
    """Read it.

    Args:
        path: the file.
        needed: keys that it must have.

    Raises:
        RecordError: no such file, not a configuration, or it lacks a key.
    """
    if not path.is_file():
        raise RecordError(f"{path}: no such file; it says which data set was used")
    try:
        cfg = OmegaConf.load(path)
        missing = set(needed) - {str(key) for key in cfg}
    # OSError: so OmegaConf says that a file holds a lone number
    except (OmegaConfBaseException, YAMLError, ValueError, TypeError, OSError) as fault:
        raise RecordError(f"{path}: not a configuration ({fault})".replace("\n", " ")) from None
    if missing or not isinstance(cfg, DictConfig):
        raise RecordError(f"{path}: lacks {', '.join(sorted(missing))}")
    return cfg
