"""What a folder's configuration may name: a stranger's folder must not run a stranger's code.

Hydra builds whatever a ``_target_`` says, and a dotted name may lead through any module's imports
(``gmbench.run.os.system``). So here a name is refused before anything is imported unless its prefix
is known, and refused afterwards unless it is a class that was defined under such a prefix.
"""

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from gmbench.config.check import leaves, locate
from gmbench.core.errors import InputError

OURS = ("gmbench.", "models.")
BUILDERS = ("gmbench.nn.text.", "gmbench.nn.vision.")
"""Functions that a run's ``encoders`` node names; nowhere else is a function allowed."""


class UntrustedTarget(InputError):
    """A configuration names code that nobody vouched for; one line."""


def refuse_foreign(
    tree: Mapping[str, Any], trust: Collection[str], where: str, nodes: Sequence[str]
) -> None:
    """Check every ``_target_`` that building the model would call, importing nothing unknown.

    Args:
        tree: the configuration in plain containers.
        trust: further prefixes that the caller vouches for, such as ``mypackage.``.
        where: the file, for the message.
        nodes: dotted keys of what will be built.

    Raises:
        UntrustedTarget: a target lies outside ``gmbench.``, ``models.`` and ``trust``, leads out
            of its prefix through another module's imports, or is no class; or a value holds an
            interpolation.
    """
    prefixes = (*OURS, *(name if name.endswith(".") else f"{name}." for name in trust))
    for key, value in leaves(tree):
        if isinstance(value, str) and "${" in value:
            raise UntrustedTarget(f"{where}: {key}: an interpolation in a resolved configuration")
    for node in nodes:
        for key, target in _targets(at(tree, node), node):
            _check(target, key, prefixes, where, functions=node.startswith("encoders"))


def _check(
    target: object, key: str, prefixes: tuple[str, ...], where: str, *, functions: bool
) -> None:
    place = f"{where}: {key}: {target!r}"
    if not isinstance(target, str) or not target.startswith(prefixes):
        raise UntrustedTarget(
            f"{place} is neither gmbench's nor models'; if you trust that code, name its prefix "
            f"(--trust PREFIX, load(..., trust=[PREFIX]))"
        )
    try:
        found = locate(target)
    except InputError as error:
        raise UntrustedTarget(f"{where}: {key}: {error}") from None
    home = f"{getattr(found, '__module__', '')}."
    if not home.startswith(prefixes):
        raise UntrustedTarget(f"{place} leads to {home}{getattr(found, '__name__', '?')}")
    builder = functions and home.startswith((*BUILDERS, *prefixes[len(OURS) :]))
    if not inspect.isclass(found) and not builder:
        raise UntrustedTarget(f"{place} is no class")


def _targets(value: object, key: str) -> Iterator[tuple[str, object]]:
    """Every ``_target_`` at or below a value, whatever it is."""
    inside: Iterable[tuple[str, object]] = ()
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield f"{key}._target_", value["_target_"]
        inside = ((f"{key}.{name}", item) for name, item in value.items())
    elif isinstance(value, list):
        inside = ((f"{key}[{index}]", item) for index, item in enumerate(value))
    for name, item in inside:
        yield from _targets(item, name)


def at(tree: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    found: Any = tree
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
