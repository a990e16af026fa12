"""Train, test and report one configuration: ``python -m gmbench.run model=mqspn``.

``mode=check`` looks at data, weights and one batch without training; ``mode=test ckpt=...`` scores
a checkpoint; ``-m`` makes a grid, one process per run. Exit codes: 0 done, 2 bad configuration or
input or a grid in which some runs failed, 3 a loss or gradient that is not finite, 1 any other
failure in the run itself, 128 + n ended by signal n (130: Ctrl-C).
"""

import os
import sys
import traceback
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from gmbench.config import check_files, check_parts, conf_dir, friendly, parse, shadowed_models
from gmbench.config.check import secret_arguments
from gmbench.config.messages import unknown_flags
from gmbench.config.overrides import quoted, replacing
from gmbench.config.schema import Settings
from gmbench.core.command_line import console, ending, unbroken_output
from gmbench.core.errors import InputError, NonFinite
from gmbench.core.locks import LOCK, held, launched_rank
from gmbench.core.progress import show_bars
from gmbench.core.provenance import print_redacted

if TYPE_CHECKING:
    from rich.console import Console

    from gmbench.reporting.record import RunResult

EXIT_NONFINITE = 3


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")
def _task(cfg: DictConfig) -> float | None:
    """Parse the configuration, and show its finished run, look at it or execute it."""
    folder, screen = Path(HydraConfig.get().runtime.output_dir), console()
    try:
        settings = parse(cfg)
        if (before := _finished(settings, folder)) is not None:
            return _shown(before, folder, Path(settings.tree["runs"]), screen)
        check_files(settings)
        show_bars(settings.callbacks.progress)
        # From check_parts on with torch: --help, finished and refused runs do without.
        if settings.mode == "check":
            check_parts(settings)
            from gmbench.lifecycle.dry_run import dry_run

            dry_run(settings, screen)
            return None
        # Of processes that train together the first holds the folder.
        with held(folder / LOCK, folder) if launched_rank() == 0 else nullcontext():
            if (before := _finished(settings, folder)) is not None:  # by another process, meanwhile
                return _shown(before, folder, Path(settings.tree["runs"]), screen)
            if launched_rank() == 0:
                from gmbench.lifecycle.screen import opening, say

                say(screen, opening(settings, folder))
            check_parts(settings)
            from gmbench.lifecycle.execute import execute

            return execute(settings, folder, tuple(HydraConfig.get().overrides.task), screen)
    except Exception as error:
        line = friendly(error, sys.argv[1:])
        if line is None or _tracebacks_wanted() or HydraConfig.get().mode is RunMode.MULTIRUN:
            raise
        print(line, file=sys.stderr)
        raise SystemExit(2) from None  # past Hydra, which would add lines of its own
    finally:
        _remove_empty(folder, Path(str(cfg.get("runs"))))


def _remove_empty(folder: Path, runs: Path) -> None:
    """Remove the folder that Hydra has made, and those above it, where nothing was run."""
    with suppress(OSError):  # the first that is not empty
        for place in (folder, *folder.parents):
            if not place.absolute().is_relative_to(runs.absolute()):
                break
            place.rmdir()


def _shown(before: "RunResult", folder: Path, runs: Path, screen: "Console") -> float:
    from gmbench.lifecycle.screen import closing, say
    from gmbench.reporting.tables import show

    say(screen, f"Finished before, in {folder} (force=true computes it again).")
    show(before, screen)
    say(screen, closing(folder, runs))
    return before.selected_f1


def _finished(settings: Settings, folder: Path) -> "RunResult | None":
    """The valid result of the same run in ``folder``, if there is one."""
    if not (folder / "result.json").is_file():
        return None
    from gmbench.lifecycle.lookup import Lookup

    return Lookup()(folder, settings.tree)


def main() -> int:
    """Run the verb with the command line's arguments."""
    with ending() as ended:
        if (shadow := shadowed_models()) is not None:
            raise InputError(shadow)
        if "${" in str(Path.cwd()):
            raise InputError(
                f"{Path.cwd()}: Hydra reads ${{...}} in a path; run from another folder"
            )
        sys.excepthook = print_redacted
        if wrong := [*secret_arguments(sys.argv[1:]), *unknown_flags(sys.argv[1:])]:
            raise InputError(wrong)
        # Hydra would print its own traceback and leave; with this it hands the exception to us.
        # What the user asked for is kept under a name of our own.
        os.environ.setdefault("GMBENCH_FULL_ERROR", os.environ.get("HYDRA_FULL_ERROR", "0"))
        os.environ["HYDRA_FULL_ERROR"] = "1"
        sweep = not {"-m", "--multirun"}.isdisjoint(sys.argv)
        sys.argv[1:] = replacing(quoted(argument, sweep=sweep) for argument in sys.argv[1:])
        try:
            with unbroken_output():
                _task()
        except Exception as error:
            line = friendly(error, sys.argv[1:])
            if line is not None and not _tracebacks_wanted():
                raise InputError(line) from None
            if line is None and isinstance(error, NonFinite):
                traceback.print_exception(error)
                ended.code = EXIT_NONFINITE
            else:
                raise
    return ended.code


def _tracebacks_wanted() -> bool:
    return os.environ.get("GMBENCH_FULL_ERROR") == "1"


if __name__ == "__main__":
    sys.exit(main())
