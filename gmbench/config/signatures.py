"""Nodes with a ``_target_`` compared with what they name: is it there, and do the keys fit it."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_type_hints

from gmbench.config.compare import Unresolved, is_target, problems
from gmbench.config.wording import hint

_HYDRA = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


class TargetError(ValueError):
    """A ``_target_`` names nothing that can be called."""


def locate(target: str) -> Callable[..., Any]:
    """Import what ``target`` names.

    Raises:
        TargetError: there is no such module or name (the nearest one is named), its import fails,
            or it cannot be called.
    """
    first, *rest = target.split(".")
    found: Any = _import(first, target)
    walked = first
    for name in rest:
        walked = f"{walked}.{name}"
        if hasattr(found, name):
            found = getattr(found, name)
            continue
        inside = []
        if inspect.ismodule(found) and hasattr(found, "__path__"):
            inside = [module.name for module in pkgutil.iter_modules(found.__path__)]
        if name in inside:
            found = _import(walked, target)
            continue
        parent = walked.rpartition(".")[0]
        raise TargetError(
            f"{parent} has no {name}{hint(name, inside + _own(found, first), f'{parent}.')}"
        )
    if not callable(found):
        raise TargetError(f"{target} is a {type(found).__name__}, nothing that builds a part")
    return found  # type: ignore[no-any-return]


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


def _own(found: Any, package: str) -> list[str]:
    """Public names of ``found`` that ``package`` itself defines."""
    return [
        name
        for name, value in vars(found).items()
        if not name.startswith("_")
        and str(getattr(value, "__module__", "")).partition(".")[0] == package
    ]


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
    kinds = _hints(build)
    for key in node:
        if key in _HYDRA:
            continue
        if key in supplied:
            yield f"{path}.{key}: gmbench passes this itself; remove it"
        elif key in named:
            yield from problems(node[key], kinds.get(key, Any), f"{path}.{key}")
        elif not open_ended:
            free = named.keys() - supplied - node.keys()
            yield f"{path}.{key}: {target} takes no such argument{hint(key, free, f'{path}.')}"
    if not node.get("_partial_") and not node.get("_args_"):
        for name, parameter in named.items():
            if parameter.default is parameter.empty and name not in node.keys() | supplied:
                yield f"{path}.{name}: missing; {target} needs it"


def _hints(build: Callable[..., Any]) -> Mapping[str, Any]:
    """Annotations by parameter; none where they cannot be evaluated."""
    try:
        return get_type_hints(
            build.__init__ if inspect.isclass(build) else build,
            include_extras=True,
        )
    except Exception:  # names that exist only for a type checker
        return {}
