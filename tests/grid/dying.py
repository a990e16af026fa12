"""``gmbench.run`` with a training that dies in the way its seed says.

Everything else is real: Hydra, the launcher, processes, result files. All work once
a file ``mended`` lies in the current folder.
"""

import os
import signal
import sys
import time
import traceback
import types
from dataclasses import replace
from pathlib import Path

import gmbench.run
from gmbench.config.identity import run_sha
from gmbench.lifecycle.attempts import record_failure
from gmbench.reporting.record import write_result
from tests.reporting.sample import sample


def die(seed):
    match seed:
        case 2:
            raise RuntimeError("on purpose")
        case 6:
            os.kill(os.getpid(), signal.SIGKILL)
        case 8:
            time.sleep(600)


def execute(settings, folder, overrides, console):
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if not Path("mended").exists():
            die(settings.seed)
    except BaseException as error:
        record_failure(folder, type(error).__name__, str(error), traceback.format_exception(error))
        raise
    result = sample()
    sha = run_sha(settings.tree)
    config = replace(result.config, sha=sha, seed=settings.seed, overrides=overrides)
    with Path("made.txt").open("a") as made:
        made.write(f"{settings.seed}\n")
    write_result(folder / "result.json", replace(result, config=config))
    return result.selected_f1


if __name__ == "__main__":
    sys.modules["gmbench.lifecycle.execute"] = types.SimpleNamespace(execute=execute)
    gmbench.run.check_parts = lambda settings: None  # imports torch to read signatures
    sys.exit(gmbench.run.main())
