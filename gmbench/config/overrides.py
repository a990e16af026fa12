"""Overrides as typed: text that Hydra's grammar would refuse, or take for its own, is quoted."""

import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

PATHS = frozenset({"ckpt", "resume", "data.root", "runs", "cache"})
"""Keys whose value is a path, whatever else it looks like: ``a,b``, ``[x]``, ``2024``."""
MAX_NAME = 255
"""Bytes of a file name."""


def quote(text: str) -> str:
    """``text`` as a string of Hydra's grammar that is taken literally."""
    text = re.sub(r"(\\*)'", r"\1\1\\'", text.replace("${", r"\${"))
    trailing = len(text) - len(text.rstrip("\\"))
    return f"'{text}{trailing * chr(92)}'"


def quoted(override: str, *, sweep: bool = False) -> str:
    """An override that Hydra reads as it was meant.

    Args:
        override: ``key=value``.
        sweep: whether ``a,b`` are two values.
    """
    key, equals, value = override.partition("=")
    if not equals or not value or value[0] in "'\"" or "${" in value:
        return override
    if value.startswith("~/"):
        value = f"{Path.home()}{value[1:]}"
        override = f"{key}={value}"
    read = parsed(override)
    if key.lstrip("+") in PATHS:
        kept = read is not None and (
            read.value() in (value, None) or (sweep and read.is_sweep_override())
        )
    else:
        kept = read is not None or value[0] in "[{"
    return override if kept else f"{key}={quote(value)}"


def replacing(overrides: Iterable[str]) -> list[str]:
    """Overrides in which ``data.types={...}`` replaces the types; Hydra would add to them."""
    found: list[str] = []
    for override in overrides:
        if override.startswith("data.types={"):
            found += ["~data.types", f"+{override}"]
        else:
            found.append(override)
    return found


def parsed(override: str) -> Override | None:
    """What Hydra makes of an override; None if it cannot read it."""
    try:
        return OverridesParser.create().parse_override(override)
    except HydraException:
        return None


def folder_name(overrides: str) -> str:
    """The part of a run folder's path that lists its overrides.

    A list with a name that no file system takes, or one that leads out of the folder, is cut and
    ends in its hash.
    """
    names = overrides.split("/")
    if ".." not in names and all(len(name.encode()) <= MAX_NAME for name in names):
        return overrides
    digest = sha256(overrides.encode()).hexdigest()[:12]
    start = overrides.replace("/", "_").encode()[: MAX_NAME - 1 - len(digest)]
    return f"{start.decode(errors='ignore')}-{digest}"
