"""What one process holds no other takes, until the holder is gone, however it went."""

import os
import subprocess
import sys

import pytest

from gmbench.core.files import replacing, sweep
from gmbench.core.locks import HOLDERS, LOCK, Held, held
from tests.faults.processes import ended, forked

CODE = """
import sys, pathlib
from gmbench.core.locks import held
folder = pathlib.Path(sys.argv[1])
with held(folder / ".lock", folder):
    print("held", flush=True)
    sys.stdin.read()
"""


def process(folder, **environ):
    kept = {name: value for name, value in os.environ.items() if name != HOLDERS}
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, **environ},
    )


def test_a_second_process_is_told_who_holds_it_and_a_killed_one_holds_nothing(tmp_path):
    first = process(tmp_path)
    assert first.stdout.readline() == "held\n"
    with pytest.raises(Held, match=rf"in use by process {first.pid} on .+ since 20\d\d-") as told:
        held(tmp_path / LOCK, tmp_path).__enter__()
    assert "\n" not in str(told.value)
    first.kill()
    first.communicate()
    assert (tmp_path / LOCK).is_file()  # and says nothing, as after a reboot
    with held(tmp_path / LOCK, tmp_path):
        assert f"process {os.getpid()} on" in (tmp_path / LOCK).read_text()
    assert not list(tmp_path.iterdir())


def test_a_command_on_a_held_folder_prints_that_one_line(tmp_path, monkeypatch):
    run = [sys.executable, "-m", "gmbench.run", "data=synthetic_tiny", "hydra.run.dir=run"]
    with held(tmp_path / "run" / LOCK, tmp_path):
        monkeypatch.delenv(HOLDERS)  # not one that the holder has started
        done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert f"run: in use by process {os.getpid()} on " in line
    assert [path.name for path in tmp_path.rglob("*")] == ["run"]


def test_what_a_process_holds_those_that_it_starts_may_use(tmp_path):
    with held(tmp_path / LOCK, tmp_path):
        _, refused = process(tmp_path).communicate("")
        assert "in use by process" in refused
        said, _ = process(tmp_path, **{HOLDERS: os.environ[HOLDERS]}).communicate("")
        assert said == "held\n"
        assert (tmp_path / LOCK).is_file()


def test_what_killed_writers_left_is_swept_by_name_or_all_of_it(tmp_path):
    def killed(path):
        with replacing(path) as temporary:
            temporary.mkdir(parents=True)
            (temporary / "half").write_bytes(b"half")
            os._exit(9)

    for place in (tmp_path, tmp_path / "pictures"):
        for name in ("a.json", "world-1"):
            assert ended(forked(lambda path=place / name: killed(path), tmp_path / "error")) == 9
    (tmp_path / "kept.tmp").touch()
    assert sweep(tmp_path, "world-1") == 1
    assert sweep(tmp_path) == 3
    assert {path.name for path in tmp_path.rglob("*")} == {"pictures", "kept.tmp"}
