"""Parse a configuration into settings, and list everything that is wrong with it before any work.

``parse`` looks at keys and types and needs no torch. ``check_parts`` imports what every
``_target_`` names, compares its arguments, and looks at files and combinations.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from gmbench.config.schema import Settings, Unresolved, is_target, problems, unknown_keys
from gmbench.core.errors import InputError, did_you_mean, first_line
from gmbench.core.limits import Count, Share
from gmbench.core.provenance import is_secret, redact


def check(cfg: DictConfig) -> Settings:
    """The settings of a composed configuration that can run.

    Raises:
        InputError: with every problem found.
    """
    settings = parse(cfg)
    check_parts(settings)
    return settings


def parse(cfg: DictConfig) -> Settings:
    """The settings of a composed configuration; its parts are not looked at.

    Raises:
        InputError: keys, types, choices, interpolations or secrets are wrong; with every problem
            found, those of files and combinations included.
    """
    found: list[str] = []
    tree = _resolved(cfg, "", found)
    raw = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(tree, dict)
    assert isinstance(raw, dict)
    raw.pop("hydra", None)
    found += unknown_keys(tree, referenced_keys(raw), Settings)
    found += problems(tree, Settings)
    found += secret_problems(raw)
    if found:
        raise InputError(list(dict.fromkeys([*found, *_file_problems(tree)])))
    return Settings.of(tree)


def check_files(settings: Settings) -> None:
    """Refuse settings whose files are absent or which do not fit together; torch is not needed.

    Raises:
        InputError: with every problem found.
    """
    if found := list(dict.fromkeys(_file_problems(settings.tree))):
        raise InputError(found)


def check_parts(settings: Settings) -> None:
    """Refuse settings that :func:`check_files` refuses, or else whose parts cannot be built.

    Parts are imported, and torch with them, only once nothing else is wrong.

    Raises:
        InputError: with every problem found.
    """
    check_files(settings)
    tree = settings.tree
    found = [*target_problems(tree, BUILD_ARGUMENTS), *_machine(partial(_value, tree))]
    if found := list(dict.fromkeys(found)):
        raise InputError(found)


def check_data(settings: Settings) -> None:
    """Refuse a data set or a source of candidates that cannot be built; no file is looked at.

    Raises:
        InputError: with every problem found.
    """
    parts = {name: settings.tree.get(name) for name in ("data", "regions")}
    if found := list(target_problems(parts, {})):
        raise InputError(found)


def _file_problems(tree: dict[str, Any]) -> Iterator[str]:
    """Every problem of files and combinations in a resolved tree, one line each."""
    for rule in RULES:
        yield from rule(partial(_value, tree))


def _value(tree: dict[str, Any], path: str) -> Any:
    value: Any = tree
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def check_queries(settings: Settings, max_entities: int) -> None:
    """Refuse a network with fewer queries than the example with most entities has entities.

    Raises:
        InputError: it has fewer.
    """
    queries = settings.model.network.get("num_queries")
    if isinstance(queries, int) and queries < max_entities:
        raise InputError(
            f"model.network.num_queries: {queries} queries cannot answer for the {max_entities} "
            f"entities of one tweet; set at least {max_entities}"
        )


def _resolved(node: Any, path: str, found: list[str]) -> object:
    """Plain containers with interpolations resolved; failures are reported in ``found``."""
    if not OmegaConf.is_config(node):
        return node
    if node._is_none():
        return None
    if isinstance(node, DictConfig):
        keys = [key for key in node if path or key != "hydra"]
        found += [
            f"{path}: the key {key} is not text; write it in quotes (YAML reads NO, yes and on as "
            f"false and true)"
            for key in keys
            if isinstance(key, bool)
        ]
        return {
            str(key): _item(node, key, f"{path}.{key!s}" if path else str(key), found)
            for key in keys
        }
    return [_item(node, index, f"{path}[{index}]", found) for index in range(len(node))]


def _item(node: Any, key: Any, path: str, found: list[str]) -> object:
    try:
        return _resolved(node[key], path, found)
    except MissingMandatoryValue:
        found.append(f"{path}: has no value yet; set {path}=...")
    except OmegaConfBaseException as error:
        raw: Any = OmegaConf.to_container(node, resolve=False)
        found.append(f"{path}: {raw[key]!r} cannot be resolved: {first_line(error)}")
    return Unresolved()


def referenced_keys(tree: object) -> frozenset[str]:
    """Every key that an interpolation anywhere in the unresolved ``tree`` reads."""
    found: set[str] = set()
    for path, value in leaves(tree):
        for dots, key in re.findall(r"\$\{(\.*)([\w.]+)\}", str(value)):
            above = path.split(".")[: -len(dots)] if dots else []
            parts = [*above, *key.split(".")]
            found.update(".".join(parts[: n + 1]) for n in range(len(parts)))
    return frozenset(found)


def leaves(tree: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every value of a plain tree that holds no other, with its key: ``model.inputs[0]``."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, f"{path}[{index}]")
    else:
        yield path, tree


# Credentials, which every run folder would keep. Their values are never printed.
_SECRET_VARIABLE = re.compile(r"oc\.env:\s*(\w*(?:KEY|TOKEN|SECRET|PASSWORD)\w*)", re.I)


def secret_problems(tree: object) -> Iterator[str]:
    """Keys of the unresolved ``tree`` that look like credentials."""
    for path, value in leaves(tree):
        name = re.sub(r"\[\d+\]", "", path.rpartition(".")[2])
        if not isinstance(value, str) or value in ("", "???"):
            continue
        variable = _SECRET_VARIABLE.search(value)
        if variable or is_secret(name):
            instead = (
                variable[1] if variable else "an environment variable (WANDB_API_KEY, HF_TOKEN)"
            )
            yield (
                f"{path}: a secret does not belong in the configuration, which every run folder "
                f"keeps; remove the key and set {instead} in the environment"
            )


def secret_arguments(arguments: Sequence[str]) -> Iterator[str]:
    """Command-line arguments that hold a credential, which folders would be named after."""
    for argument in arguments:
        shown = redact(argument)
        if shown != argument:
            yield (
                f"{shown}: a secret does not belong on the command line, which run folders are "
                f"named after; set it in the environment (WANDB_API_KEY, HF_TOKEN)"
            )


# Nodes with a `_target_` compared with what they name: does it exist, and do the keys fit it.
_HYDRA = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}
BUILD_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "model.network": frozenset({"text_encoder", "vision_encoder", "tokenizer", "type_names"}),
    "model.loss": frozenset({"matcher"}),
    "model.decode": frozenset({"types"}),
}
"""By node, the arguments that the verbs pass when they build it: never written in a yaml."""


class TargetError(ValueError):
    """A ``_target_`` names nothing that can be called."""


def locate(target: str) -> Callable[..., Any]:
    """Import what ``target`` names.

    Raises:
        TargetError: there is no such module or name (the nearest one is named), its import fails,
            or it cannot be called.
    """
    package, *rest = target.split(".")
    found: Any = _import(package, target)
    walked = package
    for name in rest:
        parent, walked = walked, f"{walked}.{name}"
        if hasattr(found, name):
            found = getattr(found, name)
            continue
        inside = []
        if inspect.ismodule(found) and hasattr(found, "__path__"):
            inside = [module.name for module in pkgutil.iter_modules(found.__path__)]
        if name not in inside:
            own = [
                n
                for n, value in vars(found).items()
                if not n.startswith("_")
                and str(getattr(value, "__module__", "")).partition(".")[0] == package
            ]
            near = did_you_mean(name, inside + own, f"{parent}.")
            raise TargetError(f"{parent} has no {name}{near}")
        found = _import(walked, target)
    if not callable(found):
        raise TargetError(f"{target} is a {type(found).__name__}, nothing that builds a part")
    return found  # type: ignore[no-any-return]


def _import(module: str, target: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise TargetError(
                f"no module {module} can be imported (a class of your own must be importable: "
                f"install its package or set PYTHONPATH)"
            ) from None
        raise TargetError(f"{target} needs the module {error.name}, which is missing") from error
    except Exception as error:  # whatever a stranger's module raises while it is imported
        raise TargetError(f"importing {module} failed: {type(error).__name__}: {error}") from error


def target_problems(
    node: object, build_arguments: Mapping[str, frozenset[str]], path: str = ""
) -> Iterator[str]:
    """Every fault of every ``_target_`` node at or below ``node``, one line each.

    Args:
        node: the resolved configuration in plain containers.
        build_arguments: by path of a node, the arguments that the verbs pass when they build it.
        path: the key of ``node``.
    """
    children: Iterator[tuple[object, object]] = iter(())
    if isinstance(node, Mapping):
        if is_target(node):
            yield from _bind(node, build_arguments.get(path, frozenset()), path)
        dot = f"{path}." if path else ""
        children = ((f"{dot}{key}", value) for key, value in node.items())
    elif isinstance(node, list):
        children = ((f"{path}[{index}]", value) for index, value in enumerate(node))
    for key, value in children:
        yield from target_problems(value, build_arguments, str(key))


def _bind(node: Mapping[str, object], supplied: frozenset[str], path: str) -> Iterator[str]:
    target = node["_target_"]
    if isinstance(target, Unresolved):
        return
    try:
        if not isinstance(target, str):
            raise TargetError(f"{target!r} is not a dotted name")
        build = locate(target)
        parameters = inspect.signature(build).parameters
    except TargetError as error:
        yield f"{path}._target_: {error}"
        return
    except ValueError:  # a built-in that does not tell its signature
        return
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())  # **kwargs takes any key
    named = {
        name: p
        for name, p in parameters.items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    try:
        callee = build.__init__ if inspect.isclass(build) else build
        kinds = get_type_hints(callee, include_extras=True)
    except Exception:  # names that exist only for a type checker
        kinds = {}
    for key in node:
        if key in _HYDRA:
            continue
        if key in supplied:
            yield f"{path}.{key}: gmbench passes this itself; remove it"
        elif key in named:
            yield from problems(node[key], kinds.get(key, Any), f"{path}.{key}")
        elif not open_ended:
            free = named.keys() - supplied - node.keys()
            near = did_you_mean(key, free, f"{path}.")
            yield f"{path}.{key}: {target} takes no such argument{near}"
    if not node.get("_partial_") and not node.get("_args_"):
        for name, parameter in named.items():
            if parameter.default is parameter.empty and name not in node.keys() | supplied:
                yield f"{path}.{name}: missing; {target} needs it"


# Files that are not there and combinations that cannot run. A rule reads the resolved configuration
# in plain containers and gives one line per problem. It must accept any tree: a missing or mistyped
# key is reported elsewhere.
Rule = Callable[[Callable[[str], Any]], Iterator[str]]
"""Takes the value at a dotted key, None where there is none."""


def _run_files(get: Callable[[str], Any]) -> Iterator[str]:
    ckpt, resume, runs = get("ckpt"), get("resume"), get("runs")
    if ckpt is None and get("mode") == "test":
        yield "ckpt: mode=test needs the checkpoint to test; set ckpt=RUN/checkpoints/best.ckpt"
    if isinstance(ckpt, str) and Path(ckpt).is_dir():
        yield f"ckpt: {ckpt} is a folder; name a file, such as RUN/checkpoints/best.ckpt"
    elif isinstance(ckpt, str) and not Path(ckpt).is_file():
        folder = Path(ckpt).parent
        beside = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        yield f"ckpt: no file {ckpt}{did_you_mean(Path(ckpt).name, beside, f'{folder}/')}"
    if isinstance(resume, str) and resume not in ("auto", "never") and not Path(resume).is_file():
        near = did_you_mean(resume, ["auto", "never"], "resume=")
        yield f"resume: {resume} is neither auto nor never nor a checkpoint{near}"
    if isinstance(runs, str) and Path(runs).exists() and not Path(runs).is_dir():
        yield f"runs: {runs} is a file; name a folder"
    for group in ("experiment", "debug"):
        if isinstance(get(group), dict):
            yield (
                f"{group}: the file of conf/{group} needs '# @package _global_' as its very first "
                f"line; behind another comment Hydra does not see it"
            )


def _data_files(get: Callable[[str], Any]) -> Iterator[str]:
    root, folder = get("data.root"), get("regions.source.folder")
    coco = get("data.coco")
    if isinstance(coco, str):
        if not Path(coco).is_dir():
            yield (
                f"data.coco: no folder {coco}; set data.coco=FOLDER with COCO's "
                f"instances_*.json and pictures"
            )
        return
    if get("data.world") is not None or not isinstance(root, str):
        return
    if not Path(root).is_dir():
        yield (
            f"data.root: no folder {root}; set data.root=FOLDER or GMBENCH_DATA (python -m "
            f"gmbench.prepare data={get('data.name')} says what belongs there and where to get it)"
        )
        return
    strict = get("regions.source.missing") == "error" and get("data.missing_image") != "blank"
    wanted = strict and _reads_regions(get) and isinstance(folder, str)
    if wanted and not Path(folder).is_dir():
        yield (
            f"regions.source.folder: no folder {folder} with one file of candidates per image; "
            f"set it, or regions.source.missing=none"
        )


def _reads_regions(get: Callable[[str], Any]) -> bool:
    inputs = get("model.inputs")
    return isinstance(inputs, list) and "regions" in inputs


def _combinations(get: Callable[[str], Any]) -> Iterator[str]:
    if _reads_regions(get) and get("regions.source") is None:
        yield (
            f"regions: model {get('model.name')} chooses among candidate regions "
            f"(model.inputs), but regions has no source; set regions=vinvl"
        )
    limits = {"model.matcher.repeat_ratio": Share | None, "model.network.num_queries": Count | None}
    for key, kind in limits.items():
        yield from problems(get(key), kind, key)
    sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    if sweep and get("trainer.devices") != 1:
        yield (
            f"trainer.devices: {get('trainer.devices')} with -m; every process would start the "
            f"whole sweep again: use one device per job"
        )
    if get("logger.name") == "tensorboard" and find_spec("tensorboard") is None:
        yield (
            "logger: tensorboard needs a package that is not installed; "
            "pip install 'gmbench[tensorboard]', or choose logger=csv"
        )


def _machine(get: Callable[[str], Any]) -> Iterator[str]:
    accelerator, devices = get("trainer.accelerator"), get("trainer.devices")
    if accelerator not in ("gpu", "cuda"):
        return
    from torch.cuda import device_count  # here: a configuration that asks for no GPU does without

    wanted = devices if isinstance(devices, int) else 1
    if wanted > device_count():
        yield (
            f"trainer.accelerator: {accelerator} with trainer.devices={devices}, but there are "
            f"{device_count()} GPUs here; set trainer.accelerator=auto"
        )


_ACTIVATION_OF_LOSS = {"bce": "sigmoid", "softmax_nll": "softmax"}


def _activations(get: Callable[[str], Any]) -> Iterator[str]:
    """A score trained as a probability of one kind must not be read as the other."""
    terms = get("model.loss.terms")
    for name, term in terms.items() if isinstance(terms, dict) else ():
        kind = term.get("kind") if isinstance(term, dict) else None
        wanted = _ACTIVATION_OF_LOSS.get(str(kind))
        readers = [f"model.matcher.terms.{name}.activation"]
        readers += ["model.decode.span_activation"] if name == "span" else []
        for key in readers:
            if wanted and isinstance(get(key), str) and get(key) != wanted:
                yield (
                    f"{key}: {get(key)}, but model.loss.terms.{name}.kind={kind} "
                    f"trains {wanted} scores; set both alike"
                )


RULES: tuple[Rule, ...] = (_run_files, _data_files, _combinations, _activations)
