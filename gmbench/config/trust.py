"""What an untrusted folder's configuration may build: classes of known packages only.

Hydra builds whatever a ``_target_`` says, and a dotted name may lead through any module's imports
(``gmbench.run.os.system``). So a name is refused before anything is imported unless its prefix is
known, and refused afterwards unless it is a class that was defined under such a prefix.
"""

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gmbench.config.check import leaves, locate
from gmbench.core.errors import InputError

OURS = ("gmbench.data.", "gmbench.nn.", "gmbench.objective.", "models.")
"""Where the parts of a run are: elsewhere in gmbench are classes that write files or send."""
BUILDERS = ("gmbench.nn.text.", "gmbench.nn.vision.")
"""Functions that a run's ``encoders`` node names; nowhere else is a function allowed."""


class UntrustedTarget(InputError):
    """A configuration names code outside the trusted packages."""


def refuse_foreign(
    tree: Mapping[str, Any], trust: Collection[str], where: str, nodes: Sequence[str]
) -> None:
    """Check every ``_target_`` that building the model would call, importing nothing unknown.

    Args:
        tree: the configuration in plain containers.
        trust: further prefixes that the caller trusts, such as ``mypackage.``.
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
        functions = (*BUILDERS, *prefixes[len(OURS) :]) if node.startswith("encoders") else ()
        for key, value in leaves(value_at(tree, node), node):
            if "._target_" in key:  # also below it: what is no string is refused as well
                _check(value, f"{where}: {key}", prefixes, functions)


def _check(
    target: object, where: str, prefixes: tuple[str, ...], functions: tuple[str, ...]
) -> None:
    place = f"{where}: {target!r}"
    if not isinstance(target, str) or not target.startswith(prefixes):
        raise UntrustedTarget(
            f"{place} is neither gmbench's nor models'; if you trust that code, name its prefix "
            f"(--trust PREFIX, load(..., trust=[PREFIX]))"
        )
    try:
        found = locate(target)
    except ValueError as error:
        raise UntrustedTarget(f"{where}: {error}") from None
    home = f"{getattr(found, '__module__', '')}."
    if not home.startswith(prefixes):
        raise UntrustedTarget(f"{place} leads to {home}{getattr(found, '__name__', '?')}")
    if not inspect.isclass(found) and not home.startswith(functions):
        raise UntrustedTarget(f"{place} is no class")


def value_at(tree: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None if there is none."""
    value: Any = tree
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
