"""``gmbench.run`` with jobs that die or wait once their run has begun, until they are released.

Seed 2 kills itself as ``kill -9`` would, seed 3 waits to be cancelled; both are runs like any other
once a file ``mended`` lies in the current folder. Everything else is real: training and all.
"""

import os
import signal
import sys
import time
from pathlib import Path

import gmbench.lifecycle.execute
import gmbench.run


def hold(seed: int) -> None:
    """Do to the run of this seed what its number says."""
    if Path("mended").exists():
        return
    if seed == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == 3:
        while not Path("mended").exists():
            time.sleep(0.1)


if __name__ == "__main__":
    compute = gmbench.lifecycle.execute._compute

    def held(cfg, *others):
        """Wait first."""
        hold(cfg.seed)
        return compute(cfg, *others)

    gmbench.lifecycle.execute._compute = held
    sys.exit(gmbench.run.main())
