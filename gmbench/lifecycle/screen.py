"""What a run says on the terminal before it trains and when it is done, without torch."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote

from rich.console import Console

from gmbench.config.compose import read_stored
from gmbench.config.schema import Settings
from gmbench.core.progress import in_words
from gmbench.reporting.record import read_result

MEASURED = {"mqspn": 54.4, "qgn": 15.8, "mner_qg": 11.9, "pipeline": 33.0, "hindex": 32.7}
"""Training tweets a second of the slowest seed on the built-in world with tiny encoders, on one
shared CPU core: ``cost.samples_per_second`` in ``experiments/results``."""


def opening(settings: Settings, folder: Path) -> str:
    """Model, data, device, folder and a first estimate of the time, before anything is loaded."""
    trained = settings.mode == "train"
    what = f"{settings.trainer.epochs} epochs" if trained else f"mode={settings.mode}"
    lines = [
        f"{settings.model.name} on {settings.data['name']}, {what}, seed {settings.seed}, "
        f"{_device(settings.trainer.accelerator)}",
        f"Folder: {_shown(folder)}",
    ]
    if trained:
        lines.append(f"Time: {_estimate(settings, folder)}")
    return "\n".join(lines)


def closing(folder: Path, runs: Path, unsynced: Path | None = None) -> str:
    """The commands that come next; ``unsynced`` is the folder of an offline mirror on W&B."""
    run = quote(_shown(folder))
    lines = [
        f"Run folder: {_shown(folder)}",
        "Next:",
        f'  gmbench predict {run} --image I.jpg --text "..."',
        f"  gmbench report {quote(_shown(runs))}",
        f"  gmbench export {run} DIR",
    ]
    if unsynced is not None:
        lines.append(f"  wandb sync {quote(_shown(unsynced))}")
    return "\n".join(lines)


def _shown(folder: Path) -> str:
    """The folder from here, where it lies below."""
    place = folder.absolute()
    return str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else folder)


def say(screen: Console, text: str) -> None:
    """Print lines as they are, however long: paths can be copied."""
    screen.print(text, soft_wrap=True, markup=False, highlight=False)


def _device(accelerator: str) -> str:
    """Where the run will be; torch, which knows for sure, takes seconds to import."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    nvidia = not hidden and any(Path("/dev").glob("nvidia[0-9]*"))
    if accelerator in ("auto", "gpu") and nvidia:
        return "GPU"
    if accelerator in ("auto", "mps") and sys.platform == "darwin":
        return "MPS, if there is one"
    return "CPU" if accelerator in ("auto", "cpu") else accelerator


def _estimate(settings: Settings, folder: Path) -> str:
    """From the newest run of the same model and data, or from what was measured elsewhere."""
    for before, seconds, epochs in _runs_like(settings, folder):
        guess = in_words(seconds * settings.trainer.epochs / epochs)
        return f"about {guess}, as {_shown(before)} took {in_words(seconds)} for {epochs} epochs"
    rate = MEASURED.get(settings.model.name)
    world, tiny = settings.data.get("world"), "tiny" in str(settings.encoders.text)
    if rate is None or not tiny or not isinstance(world, dict):
        return "the first epoch will tell"
    tweets = min(int(world["train"]), settings.data.get("limit") or sys.maxsize)
    guess = in_words(tweets * settings.trainer.epochs / rate)
    return f"about {guess} of training on one CPU core, less on more; then each epoch tells"


def _runs_like(settings: Settings, folder: Path) -> Iterator[tuple[Path, float, int]]:
    """Finished runs of this model and data, newest first: folder, seconds, epochs."""
    place = Path(settings.tree["runs"])
    pattern = f"*/{settings.model.name}/{settings.data['name']}/**/result.json"
    files = sorted(place.glob(pattern), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[:5]:
        with suppress(ValueError, OSError, KeyError, TypeError):
            result, trained = read_result(file), read_stored(file.with_name("config.yaml"))
            same = all(trained[key] == settings.tree[key] for key in ("data", "encoders"))
            if same and result.cost.samples_per_second:  # it was trained here
                yield file.parent, result.cost.seconds, int(trained["trainer"]["epochs"])
