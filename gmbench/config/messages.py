"""Errors of Hydra and OmegaConf in one line each, with the nearest match."""

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from hydra._internal.utils import get_args_parser
from hydra.errors import (
    CompactHydraException,
    ConfigCompositionException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gmbench.config.check import check_data, check_files, leaves, parse
from gmbench.config.compose import compose
from gmbench.config.overrides import parsed, quoted
from gmbench.config.renames import current_key
from gmbench.core.errors import InputError, did_you_mean, first_line, nearest


def friendly(
    error: BaseException, argv: Sequence[str] = (), *, main_dir: str | Path | None = None
) -> str | None:
    """What a configuration error means, one line a problem; None for any other error.

    Hydra stops at the first override that it cannot apply. Given the command line, the overrides
    after it are tried as well and the rest is checked, so that all problems are told at once.

    Hydra prints and exits by itself unless ``HYDRA_FULL_ERROR=1`` stands in the environment: a verb
    sets it around its ``hydra.main`` function, then gets the exception and asks here.

    Args:
        error: as caught.
        argv: the command line without the program's name.
        main_dir: in place of ``conf_dir()``.
    """
    if isinstance(error, InputError):
        return str(error)
    if str(error).startswith("Config group override must be a string"):  # a plain ValueError
        return f"{error}; name a file of that folder, as in model=mqspn"
    if str(error).startswith("Only one of --run, --multirun, --cfg"):  # a plain ValueError
        return "--cfg and --info show one configuration: leave -m (--multirun) out"
    overrides, config_dir = _parse(argv)
    if isinstance(error, OmegaConfBaseException):  # such as a run folder that cannot be named
        try:
            settings = parse(compose(overrides, config_dir, main_dir=main_dir))
            check_data(settings)
            check_files(settings)
        except InputError as why:
            return str(why)
        return f"{error.full_key}: {first_line(error)}"
    if not isinstance(error, CompactHydraException | yaml.YAMLError):
        return None
    found = [_line(error)]
    while (culprit := _culprit(error, overrides)) is not None:
        overrides.remove(culprit)
        try:
            check_files(parse(compose(overrides, config_dir, main_dir=main_dir)))
        except InputError as last:
            found += last.problems
        except CompactHydraException as following:
            error = following
            found.append(_line(error))
            continue
        break
    return "\n".join(dict.fromkeys(found))


def _parse(argv: Sequence[str]) -> tuple[list[str], str | None]:
    """The overrides of a command line, without those of a sweep, and its ``--config-dir``."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd")
    known, rest = parser.parse_known_args(list(argv))
    sweep = not {"-m", "--multirun"}.isdisjoint(rest)
    overrides = [quoted(word, sweep=sweep) for word in rest if not word.startswith("-")]
    if sweep:
        overrides = [o for o in overrides if not ((p := parsed(o)) and p.is_sweep_override())]
    return overrides, known.config_dir


def unknown_flags(arguments: Sequence[str]) -> Iterator[str]:
    """Options that Hydra does not know, one line each; settings are written without dashes.

    ``--key=value`` is also how ``wandb agent`` passes parameters, unless its sweep says otherwise.
    """
    known = [name for action in get_args_parser()._actions for name in action.option_strings]
    sweep = False
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        flag, equals, value = argument.partition("=")
        if not flag.startswith("--") or flag in known:
            continue
        value = value if equals or following.startswith("-") else following
        keys = _settings_called(flag.lstrip("-").replace("-", "_"))
        if keys and value:
            meant = f"; did you mean {' or '.join(f'{key}={value}' for key in keys)}?"
        else:
            meant = (
                did_you_mean(flag, [n for n in known if n.startswith("--")])
                or "; settings are written key=value, without dashes"
            )
        sweep |= bool(keys and equals)
        yield f"{argument}: no such option{meant}"
    if sweep:
        yield (
            "settings are written key=value, without dashes; the command of a W&B sweep passes "
            "them as ${args_no_hyphens}, not ${args}"
        )


def _settings_called(name: str) -> list[str]:
    """The keys of the default configuration, groups included, that a flag of this name means."""
    if "." in name:
        return [name]
    tree = OmegaConf.to_container(compose([]), resolve=False)
    assert isinstance(tree, dict)
    keys = [*tree, *(path for path, _ in leaves(tree))]
    last = {key: key.rpartition(".")[2] for key in keys if not key.startswith("hydra")}
    close = name if name in last.values() else nearest(name, last.values())
    same = sorted((key for key in last if last[key] == close), key=lambda key: key.count("."))
    return [key for key in same if key.count(".") == same[0].count(".")]


def _line(error: BaseException) -> str:
    """One line for one error."""
    cause = error.__cause__ or error
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read; write key=value, or key=\"'text'\" for any text"
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return (
            f"{group}={name}: no such choice{did_you_mean(name, error.options, f'{group}=')} "
            f"(choices: {', '.join(error.options) or 'none'})"
        )
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        if "not in struct" in str(cause):
            return _unknown_key(cause)
        return f"{cause.full_key}: {first_line(cause)}"
    several = re.match(r"Ambiguous value for argument '(.*?)'\n", str(error))
    if several:
        return f"{several[1]}: several values need -m (a grid), or [...] where a list is meant"
    return " ".join(str(error).split()) or first_line(cause)


def _unknown_key(error: OmegaConfBaseException) -> str:
    """``trainer.epoch: unknown key; did you mean trainer.epochs?``."""
    path = str(error.full_key)
    prefix, _, name = path.rpartition(".")
    moved = current_key(path)
    if moved != path:
        return f"{path}: unknown key; it is called {moved} now"
    beside = error.parent_node
    if not isinstance(beside, DictConfig):
        return f"{path}: unknown key"
    meant = did_you_mean(name, map(str, beside), f"{prefix}." if prefix else "")
    return f"{path}: unknown key{meant or _elsewhere(name, beside)}"


def _elsewhere(name: str, node: DictConfig) -> str:
    """The same name at the root or in another group."""
    root = OmegaConf.to_container(node._get_root(), resolve=False)
    groups: dict[str, object] = {}
    if isinstance(root, dict):
        groups = {str(k): v for k, v in root.items() if k != "hydra"}
    if name in groups:
        return f"; did you mean {name}?"
    inside = {
        f"{group}.{key}": str(key)
        for group, node in groups.items()
        if isinstance(node, dict)
        for key in node
    }
    match = nearest(name, inside.values())
    return next((f"; did you mean {p}?" for p, key in inside.items() if key == match), "")


def _culprit(error: BaseException, overrides: Sequence[str]) -> str | None:
    """The override that Hydra stumbled over."""
    if isinstance(error, OverrideParseException):
        return next((o for o in overrides if o == error.override), None)
    if not isinstance(error, ConfigCompositionException):
        return None
    text = f"{error}\n{error.__cause__ or ''}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        text = f"'{error.missing_cfg_file.rpartition('/')[0]}'"
    for override in overrides:
        read = parsed(override)
        key = read and re.escape(read.key_or_group)
        if read and (override in text or re.search(rf"(?<![\w.]){key}(?![\w.])", text)):
            return override
    return None
