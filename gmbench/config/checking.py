"""What is wrong with a configuration: all of it at once, before any work."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from gmbench.config.compare import Unresolved, problems
from gmbench.config.rules import RULES, referenced_keys, secret_problems
from gmbench.config.schema import Root
from gmbench.config.signatures import target_problems
from gmbench.config.wording import ConfigError, first_line

BUILD_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "model.network": frozenset({"text_encoder", "vision_encoder", "tokenizer", "type_names"}),
    "model.loss": frozenset({"matcher"}),
    "model.decode": frozenset({"types"}),
}
"""By node, the arguments that the verbs pass when they build it: never written in a yaml."""


def check(cfg: DictConfig) -> None:
    """Refuse a configuration that cannot run, before any work.

    Looks at keys, types, choices, interpolations, secrets, every ``_target_`` with its arguments,
    files and folders, and combinations (gmbench.rules).

    Raises:
        ConfigError: with every problem found.
    """
    found: list[str] = []
    tree = _resolved(cfg, "", found)
    assert isinstance(tree, dict)
    tree.pop("hydra", None)
    raw = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(raw, dict)
    raw.pop("hydra", None)
    found += problems(tree, Root, read=referenced_keys(raw))
    found += target_problems(tree, BUILD_ARGUMENTS)
    found += secret_problems(raw)
    for rule in RULES:
        found += rule(tree)
    if found:
        raise ConfigError(list(dict.fromkeys(found)))


def check_data(cfg: DictConfig, max_entities: int) -> None:
    """Refuse a model that cannot answer for the data.

    Args:
        cfg: the configuration.
        max_entities: entities of the tweet that has most.

    Raises:
        ConfigError: the network has fewer queries than that.
    """
    queries = OmegaConf.select(cfg, "model.network.num_queries")
    if queries is not None and queries < max_entities:
        raise ConfigError(
            [
                f"model.network.num_queries: {queries} queries cannot answer for the "
                f"{max_entities} entities of one tweet; set at least {max_entities}"
            ]
        )


def _resolved(node: Any, path: str, found: list[str]) -> object:
    """Plain containers with interpolations resolved; each that fails is told with its key."""
    if not OmegaConf.is_config(node):
        return node
    if node._is_none():
        return None
    if isinstance(node, DictConfig):
        keys = [str(key) for key in node if path or key != "hydra"]
        return {key: _item(node, key, f"{path}.{key}" if path else key, found) for key in keys}
    return [_item(node, index, f"{path}[{index}]", found) for index in range(len(node))]


def _item(node: Any, key: str | int, path: str, found: list[str]) -> object:
    try:
        return _resolved(node[key], path, found)
    except MissingMandatoryValue:
        found.append(f"{path}: has no value yet; set {path}=...")
    except OmegaConfBaseException as error:
        raw: Any = OmegaConf.to_container(node, resolve=False)
        found.append(f"{path}: {raw[key]!r} cannot be resolved: {first_line(error)}")
    return Unresolved()
