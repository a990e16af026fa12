"""The configuration: where it is, how it is composed, and what is wrong with it, all at once."""

from gmbench.config.check import BUILD_ARGUMENTS, check, check_data
from gmbench.config.compose import compose, conf_dir, shadowed_models
from gmbench.config.messages import friendly

__all__ = [
    "BUILD_ARGUMENTS",
    "check",
    "check_data",
    "compose",
    "conf_dir",
    "friendly",
    "shadowed_models",
]
