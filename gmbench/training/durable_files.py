"""Files that are whole or not there, known by their digest, on the disk before the old one goes.

Beside ``last.ckpt`` lies ``last.ckpt.json``: sizes and SHA-256 of the file and of the one before
it, so that no crash between two renames leaves a file that its digest does not fit.
"""

import errno
import hashlib
import json
import logging
import os
import secrets
import shutil
import zipfile
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from torch import nn

from gmbench.faults import strike

log = logging.getLogger("gmbench")

PREVIOUS = "previous.ckpt"
"""What was ``last.ckpt`` before it."""


class DamagedCheckpoint(ValueError):
    """A checkpoint is not what was written; the message names it and what is left."""


@dataclass(frozen=True)
class Digest:
    """What tells one content from another."""

    sha256: str
    size: int


class _Hashing:
    """A stream that digests what passes through and keeps the first error of the disk.

    torch answers a failed write with an error of its own that no longer says why.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.sha, self.size = stream, hashlib.sha256(), 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """As a file's."""
        try:
            strike("write")
            self.stream.write(data)
        except OSError as error:
            self.error = self.error or error
            raise
        self.sha.update(data)
        self.size += len(memoryview(data).cast("B"))
        return len(data)

    def flush(self) -> None:
        """As a file's."""
        self.stream.flush()


def write_durably(path: Path, write: Callable[[Any], None], *, keep: Path | None = None) -> None:
    """Replace ``path`` by what ``write`` writes to a stream, once that is on the disk.

    Args:
        path: the file.
        write: gets a stream with ``write`` and ``flush``.
        keep: becomes what ``path`` was.

    Raises:
        OSError: no space left, or no right to write; what was there before still is, and nothing
            is left behind.
    """
    temporary = _temporary(path)
    try:
        with temporary.open("xb") as file:
            stream = _Hashing(file)
            try:
                write(stream)
            except Exception as error:
                if stream.error is not None:
                    raise stream.error from error
                raise
            file.flush()
            os.fsync(file.fileno())
        strike("save")
        digest = Digest(stream.sha.hexdigest(), stream.size)
        _read_back(temporary, digest)
        _publish(temporary, path, digest, keep)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    strike("saved")


def duplicate(path: Path, other: Path, *, keep: Path | None = None) -> None:
    """Give ``path`` a second name: a hard link, or a copy where the disk knows none.

    Args:
        path: written by :func:`write_durably`.
        other: its second name; a file of that name is replaced.
        keep: becomes what ``other`` was.

    Raises:
        OSError: as :func:`write_durably`.
    """
    temporary = _temporary(other)
    try:
        _link(path, temporary)
        _publish(temporary, other, digests(path)[0], keep)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _publish(temporary: Path, path: Path, digest: Digest, keep: Path | None) -> None:
    if keep is not None and path.exists():
        aside = _temporary(keep)
        try:
            _link(path, aside)
            _note(keep, [*digests(path), *digests(keep)])
            strike("keep")
            aside.replace(keep)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    _note(path, [digest, *digests(path)[:1]])
    strike("note")
    temporary.replace(path)
    _sync_folder(path.parent)


def _link(path: Path, other: Path) -> None:
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
        with other.open("rb") as file:
            os.fsync(file.fileno())


def _note(path: Path, found: list[Digest]) -> None:
    """Write the digests that ``path`` may have."""
    sidecar = sidecar_of(path)
    temporary = _temporary(sidecar)
    try:
        with temporary.open("x") as file:
            json.dump([asdict(digest) for digest in dict.fromkeys(found)], file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(sidecar)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sidecar_of(path: Path) -> Path:
    """Where the digests of a file are written."""
    return path.with_name(f"{path.name}.json")


def digests(path: Path) -> list[Digest]:
    """The digests that a file may have, newest first; none where they are not known."""
    try:
        return [Digest(**entry) for entry in json.loads(sidecar_of(path).read_bytes())]
    except (OSError, ValueError, TypeError):
        return []


def damage(path: Path) -> str | None:
    """What is wrong with a file, or None; one without digests is taken as it is.

    Raises:
        OSError: it cannot be read.
    """
    known = digests(path)
    if not known:
        return None
    if path.stat().st_size not in {digest.size for digest in known}:
        return f"{path.stat().st_size} bytes instead of {known[0].size}"
    with path.open("rb") as file:
        sha = hashlib.file_digest(file, "sha256").hexdigest()
    return None if sha in {digest.sha256 for digest in known} else "its SHA-256 does not fit"


def intact(path: Path) -> Path:
    """``path``, or for ``last.ckpt`` the checkpoint before it where that one is damaged.

    A warning names both.

    Raises:
        FileNotFoundError: neither is there.
        DamagedCheckpoint: ``path`` is damaged and nothing can stand in for it.
    """
    previous = path.with_name(PREVIOUS)
    fault = damage(path) if path.is_file() else "missing"
    if fault is None:
        return path
    if path.name == "last.ckpt" and previous.is_file() and damage(previous) is None:
        log.warning("%s is damaged (%s): going back to %s", path, fault, previous)
        return previous
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    raise DamagedCheckpoint(f"{path} is damaged ({fault}), and nothing can stand in for it")


def sweep(folder: Path) -> int:
    """Remove temporary files of processes that are no more; how many there were."""
    swept = 0
    for path in folder.glob(".*.tmp"):
        process = path.name.split(".")[-3]
        if process.isdecimal() and not _alive(int(process)):
            path.unlink(missing_ok=True)
            swept += 1
    return swept


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process != os.getpid()  # a number used again: we have nothing open yet


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def _read_back(path: Path, digest: Digest) -> None:
    if path.stat().st_size != digest.size or not zipfile.is_zipfile(path):
        raise OSError(f"{path}: what was written cannot be read back")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# Room on the disk: looked for before training, and what is done when it ends all the same.
MARGIN = 256 * 2**20
"""Bytes for all that a run writes beside checkpoints: predictions, figures, pictures."""

COPIES = 3
"""Of a checkpoint that lie side by side while one is written: best, last, the one before."""


class NoRoom(OSError):
    """A run would fill the disk."""


def is_full(error: BaseException) -> bool:
    """Whether the disk, the user's share of it or the greatest size of a file is used up."""
    return isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
    )


def checkpoint_bytes(model: nn.Module, learns: AbstractSet[str]) -> int:
    """About the size of a checkpoint: all weights, and AdamW's two moments of those that learn."""
    state = model.state_dict().values()
    weights: int = sum(tensor.numel() * tensor.element_size() for tensor in state)
    moments: int = sum(
        2 * parameter.numel() * parameter.element_size()
        for name, parameter in model.named_parameters()
        if name in learns
    )
    return weights + moments


def require_room(folder: Path, checkpoint: int) -> None:
    """Refuse to start what the disk cannot hold.

    Args:
        folder: of the run; it need not exist yet.
        checkpoint: bytes of one, more than once on the disk while it is replaced.

    Raises:
        NoRoom: says how much there is and how much it takes.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free, needed = shutil.disk_usage(there).free, COPIES * checkpoint + MARGIN
    if free < needed:
        raise NoRoom(
            errno.ENOSPC,
            f"runs: {free / 2**20:,.0f} MiB are free in {there}, but checkpoints and results may "
            f"take {needed / 2**20:,.0f} MiB; make room, or set runs=FOLDER on another disk",
        )
