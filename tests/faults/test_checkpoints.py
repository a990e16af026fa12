"""Checkpoints are whole, verified and not lost, whatever ends the process that writes (R2, R13)."""

import errno
import logging
import signal
from itertools import product

import pytest
import torch

from gmbench.core.command_line import exit_code
from gmbench.core.files import sweep
from gmbench.training.checkpoints import Checkpoints, DurableCheckpoints
from gmbench.training.durable_files import (
    PREVIOUS,
    DamagedCheckpoint,
    _HashingStream,
    damage,
    duplicate,
    intact,
    sidecar_of,
)
from gmbench.training.failures import cause_of
from tests.faults.conftest import scored, trainer
from tests.faults.plan import install
from tests.faults.processes import ended, forked

pytestmark = pytest.mark.fault
IO = DurableCheckpoints()


def state(step: int) -> dict[str, object]:
    return {"step": step, "weights": torch.full((20_000,), float(step))}


def save(folder, *steps: int) -> None:
    for step in steps:
        IO.save_checkpoint(state(step), folder / "last.ckpt")


def step_of(path) -> int:
    loaded = IO.load_checkpoint(path)
    assert torch.equal(loaded["weights"], state(loaded["step"])["weights"])
    return loaded["step"]


def flip(path, place: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[place or len(content) // 2] ^= 1
    path.write_bytes(content)


PLACES = [
    *product(["save", "saved", "keep", "note"], range(1, 4)),
    *product(["write"], range(1, 39)),
]


def test_fifty_kills_leave_a_last_checkpoint_that_loads(tmp_path, promise):
    assert len(PLACES) == 50
    for place, when in PLACES:
        folder = tmp_path / f"{place}{when}"
        folder.mkdir()
        save(folder, 0)

        def work(folder=folder, fault=f"{place}:{when}:kill"):
            install(fault)
            save(folder, *range(1, 12))

        assert ended(forked(work, tmp_path / "error.txt")) == -signal.SIGKILL, (place, when)
        assert damage(folder / "last.ckpt") is None, (place, when)
        reached = step_of(folder / "last.ckpt")
        previous = folder / PREVIOUS
        if previous.is_file():
            assert damage(previous) is None
            assert reached - step_of(previous) in (0, 1)
        if place != "write":
            assert reached == when - (place != "saved")
        sweep(folder)
        kept = {"last.ckpt", "last.ckpt.json", PREVIOUS, f"{PREVIOUS}.json"}
        assert {path.name for path in folder.iterdir()} <= kept, (place, when)
    promise("R2", "torn checkpoints after kills", 0, of=len(PLACES))
    promise("R2", "temporary files left after the next start", "0")


def test_a_flipped_byte_is_found_and_the_previous_checkpoint_taken(tmp_path, caplog, promise):
    for place in (0, 3, 70_000):
        save(tmp_path, 1, 2)
        flip(tmp_path / "last.ckpt", place)
        with caplog.at_level(logging.WARNING, "gmbench"):
            assert step_of(tmp_path / "last.ckpt") == 1
        assert str(tmp_path / "last.ckpt") in caplog.text
        assert str(tmp_path / PREVIOUS) in caplog.text
    save(tmp_path, 1, 2)
    (tmp_path / "last.ckpt").unlink()
    assert step_of(tmp_path / "last.ckpt") == 1
    promise("R2", "damaged or missing checkpoints found, the one before taken", 4)


@pytest.mark.parametrize("digest", [None, b"", b"garbage", b"{}", b"[" * 100_000])
def test_without_its_digest_a_checkpoint_is_held_against_its_own_sums(tmp_path, digest):
    last = tmp_path / "last.ckpt"
    save(tmp_path, 1, 2)
    sidecar_of(last).unlink()
    if digest is not None:
        sidecar_of(last).write_bytes(digest)
    whole = last.read_bytes()
    assert step_of(last) == 2
    found = 0
    for place in (*range(0, 200, 40), *range(1_000, len(whole), 4_001), len(whole) - 1):
        flip(last, place)
        found += step_of(last) == 1  # else all that counts is as it was
        last.write_bytes(whole)
    assert found > 18
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        last.write_bytes(whole[:size])
        assert step_of(last) == 1
    last.unlink()
    (last / "of somebody").mkdir(parents=True)
    assert step_of(last) == 1
    save(tmp_path, 3)
    assert (step_of(last), step_of(tmp_path / PREVIOUS)) == (3, 1)
    assert (tmp_path / "last.ckpt.folder" / "of somebody").is_dir()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_save_stays_a_signal(tmp_path, number):
    """Also while torch's writer, which makes errors of its own of any other, calls back."""
    save(tmp_path, 1)
    before = {path.name for path in tmp_path.iterdir()}

    def save_and_be_stopped() -> int:
        write, left = _HashingStream.write, iter(range(4))
        monkey.setattr(_HashingStream, "write", lambda self, data: struck(write, left, self, data))
        save(tmp_path, 2)
        return 0

    def struck(write, left, self, data):
        if next(left, None) == 3:
            signal.raise_signal(number)
        return write(self, data)

    with pytest.MonkeyPatch.context() as monkey:
        assert exit_code(save_and_be_stopped) == 128 + number
    assert step_of(tmp_path / "last.ckpt") == 1
    assert {path.name for path in tmp_path.iterdir()} == before


def test_what_cannot_be_mended_is_refused_by_name(tmp_path):
    save(tmp_path, 1)
    flip(tmp_path / "last.ckpt")
    with pytest.raises(DamagedCheckpoint, match=r"last\.ckpt is damaged \(its SHA-256"):
        intact(tmp_path / "last.ckpt")
    save(tmp_path, 2, 3)
    for name in ("last.ckpt", PREVIOUS):
        with (tmp_path / name).open("ab") as file:
            file.write(b"x")
    with pytest.raises(DamagedCheckpoint, match="bytes instead of"):
        intact(tmp_path / "last.ckpt")
    with pytest.raises(FileNotFoundError, match=r"best\.ckpt"):
        intact(tmp_path / "best.ckpt")


@pytest.mark.parametrize("place", ["write", "save", "keep", "note"])
def test_a_full_disk_costs_this_save_and_nothing_else(tmp_path, plan, place, promise):
    save(tmp_path, 1, 2)
    before = {path.name for path in tmp_path.iterdir()}
    plan(f"{place}:1:enospc")
    with pytest.raises(OSError, match="space") as full:
        save(tmp_path, 3)
    assert full.value.errno == errno.ENOSPC
    assert cause_of(full.value) == "disk"
    assert step_of(tmp_path / "last.ckpt") == 2
    assert step_of(tmp_path / PREVIOUS) in (1, 2)
    assert {path.name for path in tmp_path.iterdir()} == before
    promise("R13", "full disks survived, nothing finished broken", 1)


def test_a_second_name_does_not_share_the_fate_of_the_first(tmp_path):
    best, last = tmp_path / "best.ckpt", tmp_path / "last.ckpt"
    IO.save_checkpoint(state(1), best)
    duplicate(best, last)
    IO.save_checkpoint(state(2), best)
    assert (step_of(last), step_of(best)) == (1, 2)


def test_best_and_last_over_three_epochs(build, tmp_path):
    run = build()
    scored(run.module, 0.5, 0.2, 0.7)
    folder = tmp_path / "checkpoints"
    seen = []
    made = trainer(tmp_path, "trainer.epochs=3")
    kept = made.checkpoint_callback
    assert isinstance(kept, Checkpoints)
    write = kept.on_train_epoch_end

    def write_and_look(*arguments):
        write(*arguments)
        seen.append({p.stem: IO.load_checkpoint(p)["epoch"] for p in folder.glob("*.ckpt")})

    kept.on_train_epoch_end = write_and_look
    made.fit(run.module, run.data)
    assert seen == [
        {"best": 0, "last": 0},
        {"best": 0, "last": 1, "previous": 0},
        {"best": 2, "last": 2, "previous": 1},
    ]
    assert (kept.epoch, kept.score) == (2, pytest.approx(0.7))
    flip(folder / "last.ckpt")  # and with it best, the same file
    made.test(run.module, run.data, ckpt_path=str(folder / "last.ckpt"), verbose=False)
    with pytest.raises(DamagedCheckpoint, match=r"best\.ckpt"):
        made.test(run.module, run.data, ckpt_path=str(folder / "best.ckpt"), verbose=False)
