"""Where a figure comes from: configuration, code and libraries, with credentials taken out."""

import hashlib
import json
import logging
import os
import platform
import re
import subprocess
import sys
import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

from gmbench.core.safe_text import printable

LIBRARIES = (
    "gmbench",
    "torch",
    "torchvision",
    "lightning",
    "torchmetrics",
    "transformers",
    "tokenizers",
    "timm",
    "safetensors",
    "numpy",
    "scipy",
    "pillow",
    "hydra-core",
    "omegaconf",
)
"""Distributions whose version may change a figure."""

HIDDEN = "***"
_SECRET_NAME = re.compile(r"(?i)(api[_-]?key|secret|passw(or)?d|credential|(^|[_.-])(key|token)$)")
_HARMLESS = frozenset(
    {
        *("cls_token", "sep_token", "pad_token", "mask_token", "unk_token"),
        *("bos_token", "eos_token", "max_token"),
        "full_key",  # Hydra's word for the place of an error
    }
)
_URL_LOGIN = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@]+@")
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_][\w.\-]*)(?P<sign>\s*[=:]\s*)(?P<value>[^\s,;&]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitState:
    """The commit of the code, None outside a repository; ``dirty``: something is not committed."""

    commit: str | None
    dirty: bool | None


def git_state(folder: Path) -> GitState:
    """The repository that tracks ``folder``; no remote, branch or author is read.

    A folder that merely lies inside somebody's repository, as an installed package in a virtual
    environment does, belongs to none.
    """

    def git(*arguments: str) -> str | None:
        # No optional locks: killed, it would leave .git/index.lock.
        command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    if not git("ls-files", "--", "."):
        return GitState(commit=None, dirty=None)
    changes = git("status", "--porcelain")
    return GitState(
        commit=git("rev-parse", "HEAD"), dirty=None if changes is None else bool(changes)
    )


def library_versions(names: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """Versions of Python and of the installed ones among ``names``, importing none of them."""
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return dict(sorted(versions.items()))


def config_sha(config: Mapping[str, Any], volatile: Collection[str] = ()) -> str:
    """The sha256 of a plain configuration, whatever the order of its keys.

    Args:
        config: dictionaries, lists and scalars only.
        volatile: dotted keys that do not change what is computed (folders, progress bars) and are
            left out with everything below them; one that is absent is no fault.

    Raises:
        ValueError: a value is not plain, or not finite.
    """

    def kept(value: Any, key: str) -> Any:
        if not isinstance(value, Mapping):
            return value
        inner = {name: f"{key}.{name}" if key else str(name) for name in value}
        return {n: kept(value[n], inner[n]) for n in value if inner[n] not in volatile}

    try:
        text = json.dumps(kept(config, ""), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as fault:
        raise ValueError(f"only plain, finite values can be hashed: {fault}") from fault
    return hashlib.sha256(text.encode()).hexdigest()


def redact(value: Any) -> Any:
    """A plain value in which every string has lost its credentials.

    Hidden are logins inside URLs, values of names that look like a secret (``logger.api_key=x``,
    and keys of dictionaries), and the values of such environment variables.
    """
    hidden = [v for name, v in os.environ.items() if len(v) >= 8 and is_secret(name)]
    return _redacted(value, sorted(hidden, key=len, reverse=True))


def _redacted(value: Any, hidden: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if is_secret(key) and isinstance(item, str) else _redacted(item, hidden)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(_redacted(item, hidden) for item in value)
    if not isinstance(value, str):
        return value
    for secret in hidden:
        value = value.replace(secret, HIDDEN)
    value = _URL_LOGIN.sub(rf"\g<scheme>{HIDDEN}@", value)
    return _ASSIGNMENT.sub(_without_secret, value)


def _without_secret(match: re.Match[str]) -> str:
    if not is_secret(match["name"]):
        return match[0]
    return f"{match['name']}{match['sign']}{HIDDEN}"


def is_secret(name: str) -> bool:
    """Whether a value of this name (of a key, of an environment variable) is a credential."""
    return re.split(r"[.\[]", name.lower())[-1] not in _HARMLESS and bool(_SECRET_NAME.search(name))


def print_redacted(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """A ``sys.excepthook``: the traceback on stderr, which a grid keeps, without credentials."""
    text = "".join(traceback.format_exception(kind, error, trace))
    print(printable(str(redact(text))), end="", file=sys.stderr)


class RedactingFormatter(logging.Formatter):
    """Formats records of the log, exceptions included: no credential, no control character."""

    def format(self, record: logging.LogRecord) -> str:
        """The finished line or lines."""
        return printable(str(redact(super().format(record))))
