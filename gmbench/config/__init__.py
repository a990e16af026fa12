"""The configuration: where it is, how it is composed, and what is wrong with it, all at once."""

from gmbench.config.checking import BUILD_ARGUMENTS, check, check_data
from gmbench.config.translating import friendly
from gmbench.config.tree import compose, conf_dir, shadowed_models
from gmbench.config.wording import ConfigError

__all__ = [
    "BUILD_ARGUMENTS",
    "ConfigError",
    "check",
    "check_data",
    "compose",
    "conf_dir",
    "friendly",
    "shadowed_models",
]
