"""Commands as a user types them, each in a copy of one process that has imported torch once.

``python -m tests.docs.door`` reads a JSON line a command, ``{"module", "arguments", "folder",
"output"}``, and answers with its exit code. Forked before anything was computed: each copy starts
as a fresh interpreter would, without the ten seconds of importing.
"""

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


@dataclass(frozen=True)
class Ended:
    """How a command ended, and all that it wrote."""

    code: int
    output: str


class Door:
    """The process behind which commands are run; a context manager."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.count = 0
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "120",
            "MPLBACKEND": "Agg",
        }
        environment.pop("GMBENCH_DATA", None)  # ./data, as the docs say
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.docs.door"],
            cwd=REPOSITORY,
            env=environment,
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
        asked = {
            "module": module,
            "arguments": arguments,
            "folder": str(folder or self.home),
            "output": str(output),
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        code = json.loads(self.process.stdout.readline())
        return Ended(code, output.read_text(errors="replace"))


def _child(module: str, arguments: list[str], folder: str, output: str) -> int:
    """The command itself, in the copy."""
    signal.alarm(1_200)  # one that hangs ends, and its code says so
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
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
    import lightning  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import timm  # noqa: F401
    import torch  # noqa: F401
    import torchvision  # noqa: F401
    import transformers.models.bert.modeling_bert  # noqa: F401

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
