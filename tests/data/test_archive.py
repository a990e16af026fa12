"""Archives that would harm are refused with the reason, and leave nothing behind (R8)."""

import bz2
import hashlib
import io
import stat
import tarfile
import zipfile

import pytest

from gmbench import prepare
from gmbench.core.errors import DataError
from gmbench.data.archive import Limits, unpack

PICTURE = b"\xff\xd8 a picture \xff\xd9"


def zipped(path, *members, mode: int | None = None):
    """Members are names, or pairs of a name and its bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for member in members:
            name, data = member if isinstance(member, tuple) else (member, PICTURE)
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if mode is not None:
                info.external_attr = mode << 16
            made.writestr(info, data)
    return path


def tarred(path, *members, kind: str = "w"):
    """Members are names, or TarInfos of no content."""
    with tarfile.open(path, kind) as made:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                made.addfile(member)
                continue
            info = tarfile.TarInfo(member)
            info.size = len(PICTURE)
            made.addfile(info, io.BytesIO(PICTURE))
    return path


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def cut(path, share: float = 0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def noise(count: int) -> bytes:
    """Bytes that do not compress."""
    return b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(count))


def displaced(path):
    """A zip whose first member would begin before the file does."""
    content = bytearray(zipped(path, "a.jpg").read_bytes())
    place = len(content) - 6  # of the offset in the end record
    offset = int.from_bytes(content[place : place + 4], "little") + 40
    content[place : place + 4] = offset.to_bytes(4, "little")
    path.write_bytes(content)
    return path


HOSTILE = {
    "zip before its beginning": (displaced, "cannot be unpacked"),
    "zip ..": (lambda p: zipped(p, "a.jpg", "../b.jpg"), "outside"),
    "zip absolute": (lambda p: zipped(p, "/tmp/b.jpg"), "outside"),
    "zip of another system": (lambda p: zipped(p, "C:\\b.jpg"), "outside"),
    "zip link": (lambda p: zipped(p, ("a", b"/etc"), mode=stat.S_IFLNK | 0o777), "symbolic link"),
    "zip device": (lambda p: zipped(p, "a", mode=stat.S_IFCHR | 0o600), "device"),
    "zip case clash": (lambda p: zipped(p, "a/B.jpg", "A/b.JPG"), "named alike"),
    "zip twice": (lambda p: zipped(p, "b.jpg", "c.jpg", "b.jpg"), "named alike"),
    "zip file as folder": (lambda p: zipped(p, "a", "a/b.jpg"), "named alike"),
    "zip bomb": (lambda p: zipped(p, ("a", bytes(2**24))), "200 bytes out of each"),
    "zip truncated": (lambda p: cut(zipped(p, "a", "b", ("c", noise(90)))), "truncated or damaged"),
    "zip name": (lambda p: zipped(p, "a/" * 2000 + "b"), "a name of"),
    "tar ..": (lambda p: tarred(p, "a.jpg", "x/../../b.jpg"), "outside"),
    "tar absolute": (lambda p: tarred(p, "/tmp/b.jpg"), "outside"),
    "tar link": (lambda p: tarred(p, special("a", tarfile.SYMTYPE, "/etc"), "a/b"), "symbolic"),
    "tar hard link": (lambda p: tarred(p, special("a", tarfile.LNKTYPE, "/etc/x")), "hard link"),
    "tar device": (lambda p: tarred(p, special("a", tarfile.CHRTYPE)), "device"),
    "tar pipe": (lambda p: tarred(p, special("a", tarfile.FIFOTYPE)), "device"),
    "tar case clash": (lambda p: tarred(p, "b.jpg", "B.jpg", kind="w:gz"), "named alike"),
    "tar truncated": (lambda p: cut(tarred(p, "a.jpg", "b.jpg"), 0.05), "truncated or damaged"),
    "tar.gz truncated": (lambda p: cut(tarred(p, "a.jpg", kind="w:gz")), "truncated or damaged"),
    "tar.xz truncated": (lambda p: cut(tarred(p, "a.jpg", kind="w:xz")), "truncated or damaged"),
    "bz2 of noise": (lambda p: p.write_bytes(b"BZh9" + noise(4)) and p, "cannot be unpacked"),
    "rar": (lambda p: p.write_bytes(b"Rar!\x1a\x07\x01\x00") and p, "a rar archive"),
    "text": (lambda p: p.write_text("not an archive") and p, "neither a zip nor a tar"),
}


@pytest.mark.fault
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(tmp_path, name, promise):
    made, said = HOSTILE[name]
    inside = tmp_path / "inside"
    inside.mkdir()
    archive = made(tmp_path / "archive")
    with pytest.raises(DataError, match=said) as refused:
        unpack(archive, inside / "images")
    assert str(refused.value).startswith(str(archive))
    assert "\n" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["archive", "inside"]
    promise("R8", "hostile archives refused with the right reason", 1)
    promise("R8", "files outside the folder, or left behind", "0")


def bomb(path):
    """A tar whose second header claims to be a gigabyte long."""
    long = special("b", tarfile.GNUTYPE_LONGNAME)
    long.size = 2**30
    head = tarred(path, "a.jpg").read_bytes()[:1024]
    path.write_bytes(bz2.compress(head + long.tobuf(tarfile.GNU_FORMAT)[:512] + bytes(2**20)))
    return path


@pytest.mark.fault
def test_a_header_cannot_ask_for_memory(tmp_path, promise):
    with pytest.raises(DataError, match="a header of more than 4 MiB"):
        unpack(bomb(tmp_path / "archive"), tmp_path / "images")
    promise("R8", "hostile archives refused with the right reason", 1)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(files=2), "more than 2 files"),
        (Limits(each=5), "'top/a.jpg' takes"),
        (Limits(total=30), "more than 30 bytes"),
    ],
)
def test_too_much_is_refused(tmp_path, limits, said):
    archive = zipped(tmp_path / "archive", "top/a.jpg", "top/b.jpg", "top/c.jpg")
    with pytest.raises(DataError, match=said):
        unpack(archive, tmp_path / "images", limits=limits)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_an_encrypted_one_is_named(tmp_path):
    archive = zipped(tmp_path / "archive", "a.jpg")
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"'a\.jpg' is encrypted"):
        unpack(archive, tmp_path / "images")


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_a_good_one_is_unpacked_without_the_folders_around_it(tmp_path, kind):
    names = ["data/images/1.jpg", "data/images/old/2.jpg"]
    archive = tmp_path / "archive"
    (zipped if kind == "zip" else lambda p, *n: tarred(p, *n, kind=kind))(archive, *names)
    found = unpack(archive, tmp_path / "new" / "images")
    assert found.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert (found.files, found.bytes) == (2, 2 * len(PICTURE))
    root = tmp_path / "new"
    assert sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()) == [
        "images/1.jpg",
        "images/old/2.jpg",
    ]
    assert (root / "images" / "1.jpg").read_bytes() == PICTURE
    with pytest.raises(DataError, match="is there already"):
        unpack(archive, tmp_path / "new" / "images")


def test_the_verb_unpacks_where_pictures_are_looked_for(tmp_path, capsys):
    archive = zipped(tmp_path / "images.zip", "IJCAI/1.jpg", "IJCAI/2.jpg")
    sha = hashlib.sha256(archive.read_bytes()).hexdigest()
    settings = ["data=twitter_gmner", f"data.root={tmp_path}/root", "--archive", str(archive)]
    assert prepare.main([*settings, "--sha256", "0" * 64]) == 2
    assert f"its SHA-256 is {sha}" in capsys.readouterr().err
    assert prepare.main(settings) == 1  # texts and boxes are still missing
    assert (tmp_path / "root" / "images" / "2.jpg").read_bytes() == PICTURE
    assert f"sha256 {sha}" in capsys.readouterr().out
