"""Which run a configuration stands for: two that compute the same have the same sha."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from gmbench.config.renames import original
from gmbench.core.provenance import config_sha

VOLATILE = (
    "runs",
    "cache",
    "name",
    "mode",
    "ckpt",
    "force",
    "resume",
    "resume_inexact",
    "data.root",
    "callbacks.progress",
    "callbacks.matching",
    "logger",
    "trainer.num_workers",
    "trainer.may_miss_saves",
    "trainer.peer_timeout",
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
    return config_sha(what_computes(plain_config(cfg)))


def what_computes(plain: dict[str, Any]) -> dict[str, Any]:
    """What two runs must have in common to be the same run; a name that moved makes no other run."""
    return portable(original(plain))


def portable(plain: dict[str, Any]) -> dict[str, Any]:
    """A plain configuration without volatile keys; paths below ``data.root`` start from there.

    So the same run on the same files elsewhere is the same run (the fingerprint of the data tells
    the files themselves apart).
    """
    data = plain.get("data")
    root = data.get("root") if isinstance(data, dict) else None
    kept = _kept(plain, "", str(root) if root else None)
    assert isinstance(kept, dict)
    return kept


def _kept(value: Any, key: str, root: str | None) -> Any:
    if isinstance(value, dict):
        inner = {name: f"{key}.{name}" if key else str(name) for name in value}
        return {n: _kept(value[n], inner[n], root) for n in value if inner[n] not in VOLATILE}
    if isinstance(value, list):
        return [_kept(item, key, root) for item in value]
    if root and isinstance(value, str) and value.startswith(f"{root}/"):
        return f"<data.root>{value[len(root) :]}"
    return value
