"""W&B refused, silent, broken, blocked or absent: the training never notices."""

import contextlib
import http.server
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import lightning
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from gmbench.core.files import sweep
from gmbench.reporting.wandb import Patience, WandbMirror
from gmbench.training.loggers import build_loggers
from tests.line import Line
from tests.wandb_reader import read_offline

PATIENT = Patience(start=1.0, local=120.0, end=240.0)


def train(folder, mirror):
    """The bytes of metrics.csv of six steps."""
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=build_loggers(folder, mirror=mirror if mirror and mirror.wandb else None),
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    data = TensorDataset(torch.linspace(0, 1, 6)[:, None])
    trainer.fit(Line(), DataLoader(data, batch_size=2))
    return (folder / "metrics.csv").read_bytes()


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    return train(tmp_path_factory.mktemp("without"), None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run folder; nothing of W&B's goes to the home of whoever runs this."""
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name))
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_DATA_DIR", "WANDB_SWEEP_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def mirror_of(folder, mode="offline", patience=PATIENT):
    init = {"project": "p", "id": "abc", "name": "n", "group": "g", "job_type": "train"}
    config = {"seed": 1, "data": {"hub_token": "canary", "url": "http://me:canary@h/x"}}
    return WandbMirror(init={**init, "mode": mode}, config=config, folder=folder, patience=patience)


@contextlib.contextmanager
def listening(kind):
    """A server on this machine that refuses, never answers, or answers with status 500."""
    if kind == "error 500":

        class Broken(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.send_error(500)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
        server.server_close()
        return
    with socket.socket() as bound:  # bound and never accepting: nobody else gets the port
        bound.bind(("127.0.0.1", 0))
        if kind == "black hole":
            bound.listen()
        yield bound.getsockname()[1]


@pytest.mark.fault
@pytest.mark.parametrize("kind", ["refused", "black hole", "error 500", "no key"])
def test_a_server_that_does_not_answer_leaves_an_offline_mirror(
    kind, folder, without, monkeypatch, caplog, promise
):
    with listening(kind) as port, caplog.at_level(logging.WARNING, "gmbench"):
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
        if kind != "no key":
            monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
        mirror = mirror_of(folder, mode="online")
        assert train(folder, mirror) == without
        mirror.close()
    assert [r.name for r in caplog.records if r.name == "gmbench"] == ["gmbench"]
    assert "W&B does not start online" in caplog.text
    found = read_offline(folder)
    assert [point["step"] for point in found.history if "train/loss" in point] == list(range(6))
    assert found.exit_code == 0
    promise("R12", "runs with the same figures whatever W&B does", 1)


@pytest.mark.fault
@pytest.mark.parametrize("kind", ["missing package", "folder cannot be written"])
def test_without_any_mirror_the_run_is_the_same(
    kind, folder, without, monkeypatch, caplog, promise
):
    if kind == "missing package":
        monkeypatch.setitem(sys.modules, "wandb", None)
    else:
        (folder / "wandb").write_text("a file, for mode bits do not stop root")
    with caplog.at_level(logging.WARNING, "gmbench"):
        mirror = mirror_of(folder)
        assert train(folder, mirror) == without
        mirror.close()
    (said,) = (r.getMessage() for r in caplog.records if r.name == "gmbench")
    assert ("pip install wandb" in said) == (kind == "missing package")
    assert "the run itself is not touched" in said
    promise("R12", "runs with the same figures whatever W&B does", 1)


@pytest.mark.fault
def test_what_fails_or_hangs_in_the_mirror_is_said_once_and_left_alone(folder, caplog):
    reached, gate = threading.Event(), threading.Event()
    with caplog.at_level(logging.WARNING, "gmbench"):
        mirror = mirror_of(folder, patience=Patience(local=120.0, end=0.5, queued=4))
        mirror.send(lambda run: (reached.set(), gate.wait()))
        assert reached.wait(120)
        for step in range(20):
            mirror.log({"loss": 1.0, "trainer/global_step": step})
        mirror.close(exit_code=1)
        mirror.close()
    (said,) = (r.getMessage() for r in caplog.records if r.name == "gmbench")
    assert "did not finish within 0.5 s" in said
    gate.set()
    mirror._thread.join(120)
    assert not mirror._thread.is_alive()


@pytest.mark.fault
def test_the_run_goes_on_when_w_and_b_s_own_process_is_killed(folder, without, caplog, promise):
    killed = []

    def kill(run):
        for pid in services():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    with caplog.at_level(logging.WARNING, "gmbench"):
        mirror = mirror_of(folder)
        mirror.send(kill)
        assert train(folder, mirror) == without
        mirror.close()
    if not killed:
        pytest.skip("W&B's process is not found in /proc here")
    (said,) = (r.getMessage() for r in caplog.records if r.name == "gmbench")
    assert "the run itself is not touched" in said
    assert not mirror._thread.is_alive()
    promise("R12", "runs with the same figures whatever W&B does", 1)


def services():
    """Processes of W&B that this one has started."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, fields = stat.read_text().partition("(")[2].rpartition(")")
            if name.startswith("wandb") and int(fields.split()[1]) == os.getpid():
                yield int(stat.parent.name)


def test_a_failing_action_loses_itself_only(folder, caplog):
    with caplog.at_level(logging.WARNING, "gmbench"):
        mirror = mirror_of(folder)
        for _ in range(2):
            mirror.send(lambda run: 1 / 0)
        mirror.send(lambda run: run.summary.update({"after": 1}))
        mirror.close(exit_code=3)
    (said,) = (r.getMessage() for r in caplog.records if r.name == "gmbench")
    assert "division by zero" in said
    found = read_offline(folder)
    assert found.summary["after"] == 1
    assert found.exit_code == 3
    assert (found.run.run_id, found.run.run_group, found.run.job_type) == ("abc", "g", "train")
    assert found.config["seed"] == 1
    assert found.config["data"] == {"hub_token": "***", "url": "http://***@h/x"}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"canary" in path.read_bytes()]


@pytest.mark.fault
@pytest.mark.parametrize("killed", [True, False])
def test_its_temporary_folders_lie_where_the_next_start_sweeps_them(folder, killed, monkeypatch):
    """W&B makes two, as soon as it is imported."""
    elsewhere = folder.parent / "tmp"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    code = (
        "import os, sys, gmbench.reporting.wandb as here\n"
        "from pathlib import Path\n"
        "here._imported(Path(sys.argv[1]))\n"
        "if sys.argv[2] == 'True': os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder), str(killed)], check=False)
    assert done.returncode == (9 if killed else 0)
    assert not list(elsewhere.iterdir())
    assert len(list(folder.glob(".wandb.*.tmp/*"))) == (2 if killed else 0)
    sweep(folder)
    assert not list(folder.iterdir())
