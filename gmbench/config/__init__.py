"""The configuration: where it is, how it is composed and parsed, and what is wrong with it."""

from gmbench.config.check import BUILD_ARGUMENTS, check, check_data, check_files, check_parts, parse
from gmbench.config.compose import compose, conf_dir, shadowed_models
from gmbench.config.messages import friendly

__all__ = [
    "BUILD_ARGUMENTS",
    "check",
    "check_data",
    "check_files",
    "check_parts",
    "compose",
    "conf_dir",
    "friendly",
    "parse",
    "shadowed_models",
]
