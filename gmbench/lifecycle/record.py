"""A tested run -> its record: counts, analysis, pictures and, written last, result.json."""

import logging
import math
import resource
import sys
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from pickle import UnpicklingError
from typing import Self

import lightning
import torch

from gmbench.config.identity import run_sha
from gmbench.config.schema import Settings
from gmbench.core.errors import InputError, first_line
from gmbench.core.files import write_atomically
from gmbench.core.provenance import git_state, library_versions
from gmbench.core.spent import Spent
from gmbench.lifecycle.attempts import ended_attempt, write_attempt
from gmbench.lifecycle.build import Run
from gmbench.lifecycle.start import forget_previous
from gmbench.reporting.index import TWEETS
from gmbench.reporting.overlays import EXAMPLES, draw_overlays
from gmbench.reporting.plots import curves_png, draw_analysis
from gmbench.reporting.record import (
    ANALYSIS,
    BaselineFigures,
    ConfigUsed,
    Cost,
    DataUsed,
    Machine,
    Metrics,
    Part,
    ProtocolUsed,
    RunResult,
    Selection,
    StoredFile,
    write_analysis,
    write_result,
)
from gmbench.scoring.analysis import analyse
from gmbench.scoring.baselines import Predictions, baselines
from gmbench.scoring.counting import PROTOCOL, PROTOCOL_VERSION, CorpusScores, score_corpus
from gmbench.scoring.files import write_tweet_table
from gmbench.scoring.intervals import tweet_table
from gmbench.training.checkpoints import Checkpoints
from gmbench.training.optimizer import parameters_by_part

log = logging.getLogger("gmbench")

PICTURES = "pictures"
"""Folder of pictures in a run folder."""
CURVES = "curves.png"
"""In that folder: learning curves."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What training left behind.

    Attributes:
        checkpoint: the chosen state.
        selection: how it was chosen.
        spent: on training.
        samples: training examples seen.
        earlier: the part of it before an interruption.
        exact: False: it went on from a checkpoint with other digits.
        degraded: causes of which it lost something and went on: ``disk``.
    """

    checkpoint: Path | None
    selection: Selection
    spent: Spent = field(default_factory=Spent)
    samples: int = 0
    earlier: Spent = field(default_factory=Spent)
    exact: bool = True
    degraded: tuple[str, ...] = ()

    @property
    def path(self) -> str | None:
        """The checkpoint as Lightning takes it."""
        return None if self.checkpoint is None else str(self.checkpoint)

    @classmethod
    def of(cls, trainer: lightning.Trainer, run: Run, *, exact: bool) -> Self:
        """What ``trainer.fit`` has just left behind."""
        kept = trainer.checkpoint_callback
        assert isinstance(kept, Checkpoints)
        return cls(
            checkpoint=kept.best,
            selection=_selection(run, kept.score, kept.epoch),
            spent=kept.spent,
            samples=len(run.data.splits["train"].examples) * trainer.current_epoch,
            earlier=kept.earlier,
            exact=exact,
            degraded=("disk",) if kept.io.missed else (),
        )

    @classmethod
    def loaded(cls, checkpoint: Path, run: Run) -> Self:
        """A checkpoint of some other run, to be tested.

        Raises:
            InputError: it is no checkpoint, or of another model.
        """
        try:
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        except (RuntimeError, UnpicklingError, KeyError, EOFError) as error:
            raise InputError(f"ckpt: {checkpoint} is no checkpoint ({first_line(error)})") from None
        theirs = {name: tensor.shape for name, tensor in state.items()}
        own = {name: tensor.shape for name, tensor in run.module.state_dict().items()}
        strange = [name for name in {**theirs, **own} if theirs.get(name) != own.get(name)]
        if strange:
            raise InputError(
                f"ckpt: {checkpoint} is of another model or size ({len(strange)} of its tensors do "
                f"not fit, such as {strange[0]}); repeat the overrides of its own run"
            )
        return cls(checkpoint=checkpoint, selection=_selection(run, None, None))


def _selection(run: Run, value: float | None, epoch: int | None) -> Selection:
    return Selection(rule=f"{run.module.select}_f1", split="dev", value=value, epoch=epoch)


def record(
    settings: Settings,
    run: Run,
    trainer: lightning.Trainer,
    fit: Fit,
    folder: Path,
    overrides: tuple[str, ...],
    began: Spent,
) -> RunResult:
    """Write the analysis, the pictures and at last the result of a run that was just tested.

    Args:
        settings: of the run.
        run: its built parts, with the test predictions in the module.
        trainer: what trained and tested it.
        fit: what training left behind.
        folder: the run folder.
        overrides: as typed.
        began: what both clocks said at the start of the run.
    """
    _store_analysis(run, folder, f"{settings.model.name} seed {settings.seed}")
    gold = run.data.gold("test")
    scores = score_corpus((gold[id_], found) for id_, found in run.module.predictions.items())
    test = run.data.splits["test"]
    spent = fit.earlier + (Spent.now() - began)
    result = RunResult(
        protocol=ProtocolUsed(name=PROTOCOL, version=PROTOCOL_VERSION, iou_threshold=0.5),
        data=DataUsed(
            name=run.source.name,
            synthetic=run.source.synthetic,
            fingerprint=run.fingerprint.data,
            candidates=run.fingerprint.candidates,
            split="test",
            n=len(test.examples),
            limit=run.source.limit,
            saw_pixels=run.saw_pixels,
            blanked=sum(example.image is None for example in test.examples),
        ),
        config=ConfigUsed(
            model=settings.model.name,
            sha=run_sha(settings.tree),
            overrides=overrides,
            seed=settings.seed,
        ),
        code=git_state(Path(__file__).parent),
        versions=library_versions(),
        machine=Machine(
            device=_device_name(trainer),
            processes=trainer.world_size,
            threads=torch.get_num_threads(),
            precision=str(trainer.precision),
        ),
        parameters=tuple(
            Part(name=p.name, total=p.total, trainable=p.trainable)
            for p in parameters_by_part(run.module.model, run.module.learns)
        ),
        cost=Cost(
            seconds=spent.seconds,
            cpu_seconds=None if math.isnan(spent.cpu) else spent.cpu,
            peak_memory_mib=peak_memory_mib(),
            samples_per_second=fit.samples / fit.spent.seconds if fit.samples else None,
        ),
        selection=fit.selection,
        checkpoint=_stored(fit.checkpoint, folder),
        predictions=_stored(folder / "predictions.test.jsonl", folder),
        metrics=Metrics.of(scores, saw_pixels=run.saw_pixels),
        exact_resume=fit.exact,
        degraded=fit.degraded,
        floors=_floors(run, settings.model.one_region_a_type),
        attempt=ended_attempt(folder, "done"),
    )
    if settings.mode == "train":
        _draw_curves(folder, saw_pixels=run.saw_pixels, chosen=fit.selection.epoch)
    write_result(folder / "result.json", result)
    if result.attempt is not None:
        write_attempt(folder, result.attempt)
    forget_previous(folder / "checkpoints")
    return result


def _store_analysis(run: Run, folder: Path, title: str) -> None:
    """Write counts by tweet, ``analysis.json`` and its pictures from the test predictions."""
    found = run.module.predictions
    examples = [e for e in run.data.splits["test"].examples if e.id in found]
    table = tweet_table({example.id: example.entities for example in examples}, found)
    chooses = "regions" in run.data.inputs
    analysis = analyse(
        examples,
        found,
        table,
        saw_pixels=run.saw_pixels,
        proposals=run.data.loader.eval_num_regions if chooses else None,
        additions=run.module.additions.shares(run.module.model),
    )
    write_tweet_table(folder / TWEETS, table)
    write_analysis(folder / ANALYSIS, analysis)
    try:
        draw_analysis(analysis, folder / PICTURES, title)
        file = folder / PICTURES / EXAMPLES
        draw_overlays(examples, found, file, title, saw_pixels=run.saw_pixels)
    except Exception as error:  # hours of training must not be lost for want of a font
        log.warning("no pictures of the analysis: %s", error)


def _draw_curves(folder: Path, *, saw_pixels: bool, chosen: int | None) -> None:
    """Draw the learning curves of a run that trained, from its ``metrics.csv``."""
    try:
        drawn = curves_png(folder / "metrics.csv", saw_pixels=saw_pixels, chosen=chosen)
        if drawn is not None:
            (folder / PICTURES).mkdir(exist_ok=True)
            write_atomically(folder / PICTURES / CURVES, drawn)
    except Exception as error:
        log.warning("no picture of the learning curves: %s", error)


def _floors(run: Run, one_region_a_type: bool) -> tuple[BaselineFigures, ...]:
    """What needs no learning, on the same split, and what the model's build allows."""
    gold = run.data.gold("test")
    train, test = (run.data.splits[name].examples for name in ("train", "test"))

    def scored(predictions: Predictions) -> CorpusScores:
        return score_corpus((gold[id_], found) for id_, found in predictions.items())

    found = baselines(train, test, one_region_a_type=one_region_a_type)
    return tuple(BaselineFigures.of(f, scored(f.predictions)) for f in found)


def _stored(path: Path | None, folder: Path) -> StoredFile | None:
    if path is None:
        return None
    inside = path.resolve().is_relative_to(folder.resolve())
    shown = path.resolve().relative_to(folder.resolve()) if inside else Path(path.name)
    with path.open("rb") as file:
        return StoredFile(path=shown.as_posix(), sha256=file_digest(file, "sha256").hexdigest())


def peak_memory_mib() -> float:
    """Of the GPU where there is one, otherwise of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would take over the peak of the process that started this one
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
    kilo = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilo


def _device_name(trainer: lightning.Trainer) -> str:
    device = trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
