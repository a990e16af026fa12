"""Archives of strangers: every member is looked at before a byte of it is written (zip and tar)."""

import errno
import gzip
import hashlib
import lzma
import secrets
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gmbench.core.errors import DataError, fault
from gmbench.data.archive_members import Member, members_of

CHUNK = 1 << 20
LONGEST = 1024
"""Characters of a path in an archive."""
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
    *(gzip.BadGzipFile, ValueError, RuntimeError, LookupError, OverflowError, struct.error),
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much an archive may hold.

    Attributes:
        files: at most.
        each, total: bytes of a file, of all.
        ratio: bytes out of every byte in.
    """

    files: int = 50_000
    each: int = 64 * 2**20
    total: int = 4 * 2**30
    ratio: int = 200


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive."""

    files: int
    bytes: int
    sha256: str


def unpack(
    archive: Path, target: Path, *, limits: Limits | None = None, sha256: str | None = None
) -> Unpacked:
    """Unpack a zip or tar archive into a folder that appears whole or not at all.

    Folders around everything in it are left out.

    Args:
        archive: the file.
        target: the folder, which must not exist.
        limits: how much it may hold.
        sha256: that the archive must have, in hexadecimal.

    Raises:
        DataError: no such archive, of another kind, truncated, damaged or encrypted; a member would
            lie outside the folder, is a link or a device, or is named like another one; it holds
            too much; its digest is another. ``target`` does not exist then.
        OSError: ``target`` cannot be written.
    """
    if target.exists():
        raise fault(target, "is there already", "remove it, or unpack elsewhere")
    if not archive.is_file():
        raise fault(archive, "no such archive")
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 is not None and digest != sha256.lower():
        raise fault(archive, f"its SHA-256 is {digest}, not {sha256}", "download it again")
    limits = limits or Limits()
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    half.mkdir()
    try:
        with members_of(archive) as members:
            files, size = _extract(archive, members, half, limits)
        _innermost(half).rename(target)
    except DataError:
        raise
    except BROKEN as error:
        raise fault(archive, f"truncated or damaged ({error})", "download it again") from None
    # bz2 gives no number to its own; a name may be one too long, a place before the beginning
    except OSError as error:
        if error.errno in (None, errno.ENAMETOOLONG, errno.EINVAL):
            raise fault(archive, f"cannot be unpacked ({error})") from None
        raise
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return Unpacked(files, size, digest)


def _innermost(folder: Path) -> Path:
    """The folder below those that hold nothing but one other folder."""
    inside = list(folder.iterdir())
    alone = len(inside) == 1 and inside[0].is_dir()
    return _innermost(inside[0]) if alone else folder


def _extract(
    archive: Path, members: Iterator[Member], folder: Path, limits: Limits
) -> tuple[int, int]:
    """Write all members; how many files and bytes there were."""
    known: dict[tuple[str, ...], tuple[tuple[str, ...], bool]] = {}
    files = size = 0
    most = max(archive.stat().st_size, 1) * limits.ratio
    for member in members:
        parts = _parts(archive, member)
        _unlike_all(archive, member, parts, known)
        if member.kind == "folder":
            folder.joinpath(*parts).mkdir(parents=True, exist_ok=True)
            continue
        files, size = files + 1, size + member.size
        too_much = {
            f"more than {limits.files:,} files": files > limits.files,
            f"{member.name!r} takes {member.size:,} bytes": member.size > limits.each,
            f"more than {limits.total:,} bytes": size > limits.total,
            f"more than {limits.ratio} bytes out of each byte in it": size > most,
        }
        for said, holds in too_much.items():
            if holds:
                raise fault(archive, f"holds too much: {said}")
        path = folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        _copy(archive, member, path)
    return files, size


def _parts(archive: Path, member: Member) -> tuple[str, ...]:
    """The path of a member inside the folder."""
    if member.kind not in ("file", "folder"):
        raise fault(archive, f"{member.name!r} is a {member.kind}, which is never unpacked")
    name = member.name.replace("\\", "/")
    path = PurePosixPath(name)
    if len(name) > LONGEST:
        raise fault(archive, f"{name[:40]!r}... is a name of {len(name):,} characters")
    if name.startswith("/") or name[1:2] == ":" or ".." in path.parts or "\0" in name:
        raise fault(archive, f"{member.name!r} would lie outside the folder")
    if not path.parts and member.kind == "file":
        raise fault(archive, "a file without a name")
    return path.parts


def _unlike_all(
    archive: Path,
    member: Member,
    parts: tuple[str, ...],
    known: dict[tuple[str, ...], tuple[tuple[str, ...], bool]],
) -> None:
    """Refuse two members that some disk takes for one; note this one and the folders above it."""
    for depth in range(1, len(parts) + 1):
        own, is_file = parts[:depth], depth == len(parts) and member.kind == "file"
        key = tuple(part.casefold() for part in own)
        before = known.setdefault(key, (own, is_file))
        first = before[0] is own
        if not first and (before != (own, is_file) or is_file):
            raise fault(archive, f"{'/'.join(own)!r} and {'/'.join(before[0])!r} are named alike")


def _copy(archive: Path, member: Member, path: Path) -> None:
    left = member.size
    with member.source() as source, path.open("xb") as file:
        while chunk := source.read(min(CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                break
            file.write(chunk)
    if left:
        raise fault(archive, f"truncated or damaged: {member.name!r} is not as long as it says")
