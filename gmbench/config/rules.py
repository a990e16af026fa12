"""Combinations that cannot run, files that are not there, and secrets: one small rule each.

A rule reads the resolved configuration in plain containers and gives one line a problem. It must
accept any tree: a missing or mistyped key is told elsewhere.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from gmbench.config.wording import hint
from gmbench.reporting.provenance import is_secret, redact

Rule = Callable[[object], Iterator[str]]

_SECRET_VARIABLE = re.compile(r"oc\.env:\s*(\w*(?:KEY|TOKEN|SECRET|PASSWORD)\w*)", re.I)
_ACTIVATION_OF_LOSS = {"bce": "sigmoid", "softmax_nll": "softmax"}


def referenced_keys(tree: object) -> frozenset[str]:
    """Every key that an interpolation anywhere in the unresolved ``tree`` reads."""
    found: set[str] = set()
    for path, value in leaves(tree):
        for dots, key in re.findall(r"\$\{(\.*)([\w.]+)\}", str(value)):
            above = path.split(".")[: -len(dots)] if dots else []
            parts = [*above, *key.split(".")]
            found.update(".".join(parts[: n + 1]) for n in range(len(parts)))
    return frozenset(found)


def secret_problems(tree: object) -> Iterator[str]:
    """Keys that look like credentials; the value itself is never printed."""
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
    """Arguments that hold a credential: they would become names of folders and be kept in files.

    The value itself is never printed.
    """
    for argument in arguments:
        shown = redact(argument)
        if shown != argument:
            yield (
                f"{shown}: a secret does not belong on the command line, which run folders are "
                f"named after; set it in the environment (WANDB_API_KEY, HF_TOKEN)"
            )


def _checkpoint(tree: object) -> Iterator[str]:
    ckpt = _get(tree, "ckpt")
    if ckpt is None and _get(tree, "mode") == "test":
        yield "ckpt: mode=test needs the checkpoint to test; set ckpt=RUN/checkpoints/best.ckpt"
    if isinstance(ckpt, str) and not Path(ckpt).is_file():
        folder = Path(ckpt).parent
        beside = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        yield f"ckpt: no file {ckpt}{hint(Path(ckpt).name, beside, f'{folder}/')}"


def _resume(tree: object) -> Iterator[str]:
    resume = _get(tree, "resume")
    if isinstance(resume, str) and resume not in ("auto", "never") and not Path(resume).is_file():
        near = hint(resume, ["auto", "never"], "resume=")
        yield f"resume: {resume} is neither auto nor never nor a checkpoint{near}"


def _package_header(tree: object) -> Iterator[str]:
    for group in ("experiment", "debug"):
        if isinstance(_get(tree, group), dict):
            yield (
                f"{group}: the file of conf/{group} needs '# @package _global_' as its very first "
                f"line; behind another comment Hydra does not see it"
            )


def _run_folder(tree: object) -> Iterator[str]:
    runs = _get(tree, "runs")
    if isinstance(runs, str) and Path(runs).exists() and not Path(runs).is_dir():
        yield f"runs: {runs} is a file; name a folder"


def _data_folder(tree: object) -> Iterator[str]:
    root = _get(tree, "data.root")
    if _built_in(tree) or not isinstance(root, str) or Path(root).is_dir():
        return
    name = _get(tree, "data.name")
    yield (
        f"data.root: no folder {root}; set data.root=FOLDER or GMBENCH_DATA "
        f"(python -m gmbench.prepare data={name} says what belongs there and where to get it)"
    )


def _regions_folder(tree: object) -> Iterator[str]:
    folder, root = _get(tree, "regions.source.folder"), _get(tree, "data.root")
    strict = _get(tree, "regions.source.missing") == "error"
    blank = _get(tree, "data.missing_image") == "blank"
    there = isinstance(root, str) and Path(root).is_dir()
    if not strict or blank or not there or _built_in(tree) or not _reads(tree, "regions"):
        return
    if isinstance(folder, str) and not Path(folder).is_dir():
        yield (
            f"regions.source.folder: no folder {folder} with one file of candidates a picture; "
            f"set it, or regions.source.missing=none"
        )


def _regions_wanted(tree: object) -> Iterator[str]:
    if _reads(tree, "regions") and _get(tree, "regions.source") is None:
        yield (
            f"regions: model {_get(tree, 'model.name')} chooses among candidate regions "
            f"(model.inputs), but regions has no source; set regions=vinvl"
        )


def _activations(tree: object) -> Iterator[str]:
    """A score trained as a probability of one kind must not be read as the other."""
    terms = _get(tree, "model.loss.terms")
    decode = _get(tree, "model.decode.span_activation")
    if not isinstance(terms, dict):
        return
    for name, term in terms.items():
        wanted = _ACTIVATION_OF_LOSS.get(str(_get(term, "kind")))
        cost = _get(tree, f"model.matcher.terms.{name}.activation")
        readers = {f"model.matcher.terms.{name}.activation": cost}
        if name == "span":
            readers["model.decode.span_activation"] = decode
        for key, activation in readers.items():
            if wanted and isinstance(activation, str) and activation != wanted:
                yield (
                    f"{key}: {activation}, but model.loss.terms.{name}.kind={_get(term, 'kind')} "
                    f"trains {wanted} scores; set both alike"
                )


def _repeat(tree: object) -> Iterator[str]:
    ratio = _get(tree, "model.matcher.repeat_ratio")
    if isinstance(ratio, int | float) and not 0 <= ratio <= 1:
        yield f"model.matcher.repeat_ratio: {ratio} is a share of the queries, from 0 to 1"


def _queries(tree: object) -> Iterator[str]:
    queries = _get(tree, "model.network.num_queries")
    if isinstance(queries, int) and queries < 1:
        yield f"model.network.num_queries: {queries} is not at least 1"


def _one_device_a_job(tree: object) -> Iterator[str]:
    devices = _get(tree, "trainer.devices")
    sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    if sweep and devices != 1:
        yield (
            f"trainer.devices: {devices} with -m; every process would start the whole sweep again: "
            f"use one device a job"
        )


def _tensorboard(tree: object) -> Iterator[str]:
    if _get(tree, "logger.name") == "tensorboard" and find_spec("tensorboard") is None:
        yield (
            "logger: tensorboard needs a package that is not installed; "
            "pip install 'gmbench[tensorboard]', or choose logger=csv"
        )


RULES: tuple[Rule, ...] = (
    _package_header,
    _checkpoint,
    _resume,
    _run_folder,
    _data_folder,
    _regions_folder,
    _regions_wanted,
    _activations,
    _repeat,
    _queries,
    _one_device_a_job,
    _tensorboard,
)


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


def _get(tree: object, path: str) -> object:
    """The value at a dotted path; None where there is none."""
    for key in path.split("."):
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _built_in(tree: object) -> bool:
    return _get(tree, "data.world") is not None


def _reads(tree: object, what: str) -> bool:
    inputs = _get(tree, "model.inputs")
    return isinstance(inputs, list) and what in inputs
