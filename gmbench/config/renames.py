"""Names that have moved: what stored configurations say, and what it is called today.

A stored configuration (``config.yaml`` of a run folder or of an export) is read through
:func:`current`. The sha of a run is taken over :func:`original`, so that a move changes no sha: an
unchanged command still finds the run that was made before the move.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

TARGETS: Mapping[str, str] = {
    "gmbench.data.noise.NoisyRegions": "gmbench.data.regions.noisy.NoisyRegions",
    "gmbench.data.pyramid.Pyramid": "gmbench.data.regions.grid.Pyramid",
    "gmbench.data.regions.JsonLines": "gmbench.data.regions.jsonl.JsonLines",
    "gmbench.data.regions.VinVL": "gmbench.data.regions.vinvl.VinVL",
    "gmbench.data.selective_search.SelectiveSearch": (
        "gmbench.data.regions.selective_search.SelectiveSearch"
    ),
    "gmbench.engine.box_costs.BoxCost": "gmbench.objective.costs.BoxCost",
    "gmbench.engine.box_losses.BoxLoss": "gmbench.objective.losses.BoxLoss",
    "gmbench.engine.box_losses.ConsistencyLoss": "gmbench.objective.losses.ConsistencyLoss",
    "gmbench.engine.box_losses.NoTargetLoss": "gmbench.objective.losses.NoTargetLoss",
    "gmbench.engine.box_losses.PointLoss": "gmbench.objective.losses.PointLoss",
    "gmbench.engine.costs.RegionCost": "gmbench.objective.costs.RegionCost",
    "gmbench.engine.costs.SpanCost": "gmbench.objective.costs.SpanCost",
    "gmbench.engine.costs.TypeCost": "gmbench.objective.costs.TypeCost",
    "gmbench.engine.decode.Decoder": "gmbench.objective.decode.Decoder",
    "gmbench.engine.gold_boxes.GoldBoxes": "gmbench.objective.targets.GoldBoxes",
    "gmbench.engine.losses.RegionLoss": "gmbench.objective.losses.RegionLoss",
    "gmbench.engine.losses.SetLoss": "gmbench.objective.losses.SetLoss",
    "gmbench.engine.losses.SpanLoss": "gmbench.objective.losses.SpanLoss",
    "gmbench.engine.losses.TypeLoss": "gmbench.objective.losses.TypeLoss",
    "gmbench.engine.matcher.HungarianMatcher": "gmbench.objective.matcher.HungarianMatcher",
    "gmbench.engine.matcher.NoMatching": "gmbench.objective.matcher.NoMatching",
}
"""``_target_`` as first stored -> today's."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Arguments of a model's network that have moved into a settings node below it.

    Attributes:
        model: name of the model in conf/model.
        owner: ``_target_`` of the network.
        name: argument of the network that now holds the settings.
        target: ``_target_`` of the settings.
        arguments: argument of the network as first stored -> argument of the settings.
    """

    model: str
    owner: str
    name: str
    target: str
    arguments: Mapping[str, str]


GROUPS: tuple[Group, ...] = tuple(
    Group(
        model="mqspn",
        owner="models.mqspn.MQSPN",
        name=name,
        target=f"models.mqspn.{target}",
        arguments=arguments,
    )
    for name, target, arguments in (
        (
            "mqs",
            "queries.MQSSettings",
            {
                "type_queries": "type_queries",
                "ptq_trainable": "ptq_trainable",
                "entity_queries": "entity_queries",
                "human_queries": "human_queries",
                "repeat": "repeat",
                "query_init_std": "init_std",
                "query_dropout": "dropout",
            },
        ),
        (
            "qfnet",
            "fusion.QFNetSettings",
            {
                "layers": "layers",
                "qct": "qct",
                "query_pos": "query_pos",
                "query_self_attention": "query_self_attention",
                "prefix_source": "prefix_source",
                "aggregator": "aggregator",
            },
        ),
        (
            "sag",
            "aggregator.SAGSettings",
            {
                "lambda_visual": "lambda_visual",
                "lambda_learnable": "lambda_learnable",
                "sag_scale": "scale",
            },
        ),
        (
            "msp",
            "heads.MSPSettings",
            {
                "entity_classifier": "entity_classifier",
                "classifier_regions": "classifier_regions",
                "share_boundary_proj": "share_boundary_proj",
                "activation": "activation",
                "head_dropout": "dropout",
            },
        ),
    )
)
"""Every group of arguments that was once flat."""


LATER: Mapping[str, Mapping[str, object]] = {
    "models.mqspn.fusion.QFNetSettings": {"direct": False},
}
"""Arguments that came after runs were stored, by ``_target_``: the value of what ran before."""


def current(tree: Any) -> Any:
    """A stored configuration in plain containers, under today's names."""
    if isinstance(tree, list):
        return [current(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    node = {key: current(value) for key, value in tree.items()}
    if isinstance(target := node.get("_target_"), str):
        node["_target_"] = TARGETS.get(target, target)
        for group in _groups_of(node):
            moved = {new: node.pop(old) for old, new in group.arguments.items() if old in node}
            if moved:
                later = node.get(group.name)
                settings = later if isinstance(later, dict) else {}
                node[group.name] = current({"_target_": group.target, **moved, **settings})
    return {**LATER.get(str(node.get("_target_")), {}), **node}


def original(tree: Any) -> Any:
    """A configuration in plain containers, under the names that were stored first.

    An argument that came later does not stand in it where it changes nothing.
    """
    if isinstance(tree, list):
        return [original(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    came_later = LATER.get(str(tree.get("_target_")), {})
    node = {k: v for k, v in tree.items() if k not in came_later or v != came_later[k]}
    for group in _groups_of(node):
        settings = node.get(group.name)
        if isinstance(settings, dict) and settings.get("_target_") == group.target:
            settings = original(settings)
            firsts = {new: old for old, new in group.arguments.items()}
            rest = {key: value for key, value in settings.items() if key not in firsts}
            node |= {firsts[key]: value for key, value in settings.items() if key in firsts}
            node.pop(group.name)
            if rest.keys() - {"_target_"}:  # arguments that came later keep their place
                node[group.name] = rest
    node = {key: original(value) for key, value in node.items()}
    if isinstance(target := node.get("_target_"), str):
        node["_target_"] = _FIRST.get(target, target)
    return node


def current_override(override: str, model: str) -> str:
    """An override as stored with a run of ``model``, under today's key."""
    key, equals, value = override.partition("=")
    return f"{current_key(key, model)}{equals}{value}"


def current_key(key: str, model: str | None = None) -> str:
    """Today's name of a dotted key of the configuration of ``model``; None: of any model."""
    sign = key[: len(key) - len(key.lstrip("+~"))]
    for group in GROUPS:
        name = key.removeprefix(f"{sign}model.network.")
        if model in (group.model, None) and name != key and name in group.arguments:
            return f"{sign}model.network.{group.name}.{group.arguments[name]}"
    return key


def _groups_of(node: Mapping[str, Any]) -> Iterable[Group]:
    return (group for group in GROUPS if group.owner == node.get("_target_"))


_FIRST = {new: old for old, new in TARGETS.items()}
