"""Archives of strangers: every member is looked at before a byte of it is written (zip and tar)."""

import bz2
import errno
import gzip
import hashlib
import lzma
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from gmbench.data.errors import DataError, fault

CHUNK = 1 << 20
LONGEST = 1024
"""Characters of a path in an archive."""
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
    *(gzip.BadGzipFile, NotImplementedError, UnicodeError, ValueError),
)
OTHERS = {b"Rar!": "rar", b"7z\xbc\xaf": "7z"}


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


@dataclass(frozen=True)
class _Member:
    """A file or folder of an archive.

    Attributes:
        name: as written.
        size: declared.
        kind: ``file``, ``folder``, or what else it claims to be.
        source: to be opened.
    """

    name: str
    size: int
    kind: str
    source: Any


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
        with _opened(archive) as members:
            files, size = _extract(archive, members, half, limits)
        _innermost(half).rename(target)
    except DataError:
        raise
    except BROKEN as error:
        raise fault(archive, f"truncated or damaged ({error})", "download it again") from None
    except OSError as error:  # bz2 gives no number to its own; a name may be one too long
        if error.errno in (None, errno.ENAMETOOLONG):
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
    archive: Path, members: Iterator[_Member], folder: Path, limits: Limits
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


def _parts(archive: Path, member: _Member) -> tuple[str, ...]:
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
    member: _Member,
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


def _copy(archive: Path, member: _Member, path: Path) -> None:
    left = member.size
    with member.source() as source, path.open("xb") as file:
        while chunk := source.read(min(CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                break
            file.write(chunk)
    if left:
        raise fault(archive, f"truncated or damaged: {member.name!r} is not as long as it says")


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[_Member]]:
    with archive.open("rb") as file:
        magic = file.read(6)
    for start, kind in OTHERS.items():
        if magic.startswith(start):
            todo = "unpack it with another program, or get it as zip or tar"
            raise fault(archive, f"a {kind} archive, which Python cannot read", todo)
    if magic.startswith(b"PK"):
        with zipfile.ZipFile(archive) as found:
            yield (_of_zip(archive, found, info) for info in found.infolist())
        return
    with _plain(archive, magic) as stream:
        try:
            tar = tarfile.open(fileobj=_Capped(archive, stream), mode="r:")  # noqa: SIM115
        except tarfile.ReadError:
            raise fault(archive, "neither a zip nor a tar archive, or truncated") from None
        with tar:
            yield (_of_tar(tar, info) for info in tar)


def _of_zip(archive: Path, found: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    if info.flag_bits & 1:
        raise fault(archive, f"{info.filename!r} is encrypted")
    form = stat.S_IFMT(info.external_attr >> 16)
    kinds = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symbolic link"}
    kind = "folder" if info.is_dir() else kinds.get(form, "device")
    return _Member(info.filename, info.file_size, kind, lambda: found.open(info))


def _of_tar(tar: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    kinds = {
        "symbolic link": info.issym(),
        "hard link": info.islnk(),
        "device": info.isdev(),
        "sparse file": info.issparse(),
        "folder": info.isdir(),
        "file": info.isreg(),
    }
    kind = next((name for name, holds in kinds.items() if holds), "member of an unknown kind")
    return _Member(info.name, info.size, kind, lambda: tar.extractfile(info))


def _plain(archive: Path, magic: bytes) -> IO[bytes]:
    """The bytes of an archive, decompressed on the way."""
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(archive)
    if magic.startswith(b"BZh"):
        return bz2.open(archive)
    if magic.startswith(b"\xfd7zXZ"):
        return lzma.open(archive)
    return archive.open("rb")


class _Capped:
    """A stream from which nothing long is read at once: headers of a tar may claim any length."""

    def __init__(self, archive: Path, stream: IO[bytes]) -> None:
        self.archive, self.stream = archive, stream
        self.seek, self.tell, self.close = stream.seek, stream.tell, stream.close

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        if not 0 <= size <= 4 * CHUNK:
            raise fault(self.archive, "holds too much: a header of more than 4 MiB")
        return self.stream.read(size)
