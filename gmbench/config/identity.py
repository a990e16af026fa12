"""Which run a configuration stands for: two that compute the same have the same sha.

What makes two runs the same run is declared by the marks of the schema; everything here, the name
of the run folder, the rows of the leaderboard and resuming read those.
"""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gmbench.config.renames import original
from gmbench.config.schema import Counts, counts
from gmbench.core.provenance import config_sha


def plain_config(cfg: DictConfig) -> dict[str, Any]:
    """A composed configuration in plain containers, interpolations resolved, without Hydra's node.

    Raises:
        omegaconf.errors.OmegaConfBaseException: an interpolation cannot be resolved.
    """
    keys = [str(key) for key in cfg if key != "hydra"]
    plain = OmegaConf.to_container(OmegaConf.masked_copy(cfg, keys), resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def run_sha(config: DictConfig | Mapping[str, Any], place: Counts = Counts.SHA) -> str:
    """The sha256 of what a configuration computes.

    Args:
        config: as composed, or resolved in plain containers.
        place: ``SHA`` for the one in ``result.json``, ``RESUME`` for the one in checkpoints.
    """
    plain = plain_config(config) if isinstance(config, DictConfig) else config
    return config_sha(what_computes(plain, place))


def what_computes(plain: Mapping[str, Any], place: Counts = Counts.SHA) -> dict[str, Any]:
    """What two runs have in common that are the same run; a name that moved makes no other."""
    return portable(original(dict(plain)), place)


def by_key(plain: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Every setting of a plain configuration by its dotted key; a list is one setting."""
    found: dict[str, Any] = {}
    for name, value in plain.items():
        key = f"{above}{name}"
        found |= by_key(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return found


def portable(plain: Mapping[str, Any], place: Counts = Counts.SHA) -> dict[str, Any]:
    """A plain configuration without keys that do not count; paths start from ``data.root``.

    So the same run on the same files elsewhere is the same run (the fingerprint of the data tells
    the files themselves apart).
    """
    data = plain.get("data")
    root = data.get("root") if isinstance(data, Mapping) else None
    kept = _kept(dict(plain), "", str(root) if root else None, place)
    assert isinstance(kept, dict)
    return kept


def _kept(value: Any, key: str, root: str | None, place: Counts) -> Any:
    if isinstance(value, dict):
        inner = {name: f"{key}.{name}" if key else str(name) for name in value}
        return {
            name: _kept(value[name], dotted, root, place)
            for name, dotted in inner.items()
            if counts(dotted) & place
        }
    if isinstance(value, list):
        return [_kept(item, key, root, place) for item in value]
    if root and isinstance(value, str) and value.startswith(f"{root}/"):
        return f"<data.root>{value[len(root) :]}"
    return value
