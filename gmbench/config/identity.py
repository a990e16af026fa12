"""Which run a configuration stands for: two that compute the same have the same sha."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from gmbench.reporting.provenance import config_sha

VOLATILE = (
    "runs",
    "cache",
    "name",
    "mode",
    "ckpt",
    "force",
    "data.root",
    "callbacks.progress",
    "logger",
    "trainer.num_workers",
)
"""Keys that do not change what a run computes: two runs that differ only here are the same run."""


def plain_config(cfg: DictConfig) -> dict[str, Any]:
    """A composed configuration in plain containers, interpolations resolved, without Hydra's node.

    Raises:
        omegaconf.errors.OmegaConfBaseException: an interpolation cannot be resolved.
    """
    keys = [str(key) for key in cfg if key != "hydra"]
    plain = OmegaConf.to_container(OmegaConf.masked_copy(cfg, keys), resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def run_sha(cfg: DictConfig) -> str:
    """The sha256 that stands in the ``result.json`` of a run of this configuration."""
    return config_sha(plain_config(cfg), VOLATILE)
