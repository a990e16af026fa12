"""Commands as a user types them, each in a copy of one process that has imported torch once.

``python -m tests.door`` reads a JSON line a command, the arguments of `_child`, and answers with
its exit code. Forked before anything was computed: each copy starts as a fresh interpreter would,
without the ten seconds of importing.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY

SLOW = (
    "hydra",
    "lightning",
    "matplotlib.figure",
    "scipy.optimize",
    "scipy.stats",
    "timm",
    "torchmetrics",
    "torchvision",
    "transformers.models.bert.modeling_bert",
)
"""Packages of others that commands import."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and all that it wrote."""

    code: int
    out: str
    err: str

    @property
    def output(self) -> str:
        return self.out + self.err


class Door:
    """The process behind which commands are run; a context manager."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.count = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.door"],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # closes its input: it leaves

    def run(self, module: str, *arguments: str, folder: Path | None = None) -> Ended:
        """``python -m MODULE ARGUMENTS`` in a folder, the home of all by default."""
        self.count += 1
        output = self.home / f"output-{self.count}.txt"
        errors = self.home / f"errors-{self.count}.txt"
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        environment |= {"OMP_NUM_THREADS": "1", "COLUMNS": "120", "MPLBACKEND": "Agg"}
        environment.pop("GMBENCH_DATA", None)  # ./data, as the docs say
        asked = {
            "module": module,
            "arguments": arguments,
            "folder": str(folder or self.home),
            "streams": [str(output), str(errors)],
            "environment": environment,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        code = json.loads(self.process.stdout.readline())
        return Ended(code, *(p.read_text(errors="replace") for p in (output, errors)))


def _child(
    module: str,
    arguments: list[str],
    folder: str,
    streams: list[str],
    environment: dict[str, str],
) -> int:
    """The command itself, in the copy."""
    signal.alarm(1_200)  # one that hangs ends, and its code says so
    for stream, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0] = folder  # as python -m has it
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _serve() -> None:
    for slow in SLOW:
        importlib.import_module(slow)
    gc.freeze()  # never garbage: no copy looks through it
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            code = _child(**asked)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


if __name__ == "__main__":
    _serve()
