"""The configuration of a run as a file, and what is done with a broken one."""

from functools import cache
from pathlib import Path

from omegaconf import OmegaConf

from gmbench.config import check_parts, compose
from gmbench.config.compose import stored_settings
from gmbench.core.errors import InputError


@cache
def stored() -> bytes:
    """``config.yaml`` of a run."""
    return OmegaConf.to_yaml(
        compose(["data=synthetic_tiny", "trainer=debug"]), resolve=True
    ).encode()


def checked(path: Path) -> None:
    """Read it and look for everything that is wrong with it."""
    settings = stored_settings(path)
    try:
        check_parts(settings)
    except InputError as error:
        first = " ".join(error.problems[0].split())
        raise InputError(f"{path}: {first}") from None
