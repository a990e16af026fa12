"""Small whole archives to start from, and what is done with a broken one."""

import io
import shutil
import tarfile
import zipfile
from pathlib import Path

from gmbench.data.archive import Limits, unpack

MEMBERS = {"data/1.jpg": b"one", "data/old/2.jpg": b"two " * 20}
SMALL = Limits(files=20, each=2**16, total=2**18, ratio=1000)


def zipped() -> bytes:
    """A zip of two files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in MEMBERS.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def tarred(kind: str = "w") -> bytes:
    """A tar of two files, plain or compressed."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=kind) as archive:
        for name, content in MEMBERS.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def unpacked(path: Path) -> None:
    """Unpack it; nothing may come to lie outside its folder, or stay behind."""
    root = path.with_name("unpacked")
    root.mkdir(exist_ok=True)
    before = set(path.parent.iterdir())
    try:
        unpack(path, root / "out", limits=SMALL)
    except ValueError:
        assert not list(root.iterdir()), "a refused archive leaves nothing"
        raise
    finally:
        shutil.rmtree(root)
    assert set(path.parent.iterdir()) == before - {root}
