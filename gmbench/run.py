"""Train, test and report one configuration: ``python -m gmbench.run model=mqspn``.

``mode=check`` looks at data, weights and one batch without training; ``mode=test ckpt=...`` scores
a checkpoint. Exit codes: 0 done, 2 bad configuration or input, 1 a failure in the run itself.
"""

import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from gmbench.config import check, conf_dir, friendly, shadowed_models

PATHS = ("ckpt", "data.root", "runs", "cache")


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")
def _task(cfg: DictConfig) -> float | None:
    try:
        return _run(cfg)
    except Exception as error:
        line = _input_error(error)
        if line is None or _tracebacks_wanted() or HydraConfig.get().mode is RunMode.MULTIRUN:
            raise
        print(line, file=sys.stderr)
        raise SystemExit(2) from None  # past Hydra, which would add lines of its own


def _run(cfg: DictConfig) -> float | None:
    check(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    overrides = tuple(HydraConfig.get().overrides.task)
    # Only now: --help and every configuration error come without waiting for torch.
    from rich.console import Console

    from gmbench.checkup import check_up
    from gmbench.training import execute

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width of its own: room for the tables
        console = Console(width=120)
    if cfg.mode == "check":
        check_up(cfg, console)
        return None
    return execute(cfg, folder, overrides, console)


def main() -> int:
    """Run the verb with the command line's arguments."""
    if (shadow := shadowed_models()) is not None:
        print(shadow, file=sys.stderr)
        return 2
    # Hydra would print its own traceback and leave; with this it hands the exception to us. What
    # the user asked for is kept under a name of our own.
    os.environ.setdefault("GMBENCH_FULL_ERROR", os.environ.get("HYDRA_FULL_ERROR", "0"))
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv[1:] = [_quoted(argument) for argument in sys.argv[1:]]
    try:
        _task()
    except Exception as error:
        line = _input_error(error)
        if line is None or _tracebacks_wanted():
            raise
        print(line, file=sys.stderr)
        return 2
    return 0


def _tracebacks_wanted() -> bool:
    return os.environ.get("GMBENCH_FULL_ERROR") == "1"


def _quoted(argument: str) -> str:
    """A path in quotes: run folders hold ``=``, which Hydra's grammar takes for its own."""
    key, _, value = argument.partition("=")
    if key not in PATHS or "=" not in value or value[0] in "'\"":
        return argument
    escaped = value.replace("'", r"\'")
    return f"{key}='{escaped}'"


def _input_error(error: Exception) -> str | None:
    """What the user can mend, one line a problem; None for a failure of the run itself."""
    known = friendly(error, sys.argv[1:])
    if known is not None:
        return known
    from gmbench.data.errors import DataError
    from gmbench.nn.carriers import WeightsError

    return str(error) if isinstance(error, DataError | WeightsError) else None


if __name__ == "__main__":
    sys.exit(main())
