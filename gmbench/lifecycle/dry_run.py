"""``mode=check``: data, tokenizer, weights, one batch, parameters and memory, without training."""

import torch
from rich.console import Console
from rich.table import Table

from gmbench.config.schema import Settings
from gmbench.core.tensors import Batch, TensorRecord
from gmbench.lifecycle.build import Run, build_run
from gmbench.reporting.record import Part
from gmbench.reporting.tables import parameter_table
from gmbench.training.optimizer import parameters_by_part, without_gradient

BYTES_OF_ADAMW = 16
"""A trainable float32 parameter: itself, its gradient and two moments."""


def dry_run(settings: Settings, console: Console) -> None:
    """Build everything a run needs, take one training step on one batch, and say what was found.

    Args:
        settings: of the run, checked.
        console: where the tables go.

    Raises:
        InputError: as the run itself would.
    """
    run = build_run(settings)
    console.print(_splits(run))
    batch = next(iter(run.data.train_dataloader()))
    assert isinstance(batch, Batch)
    console.print(_tensors(batch))
    module = run.module.train()
    values = module.loss(module.model(batch), batch)
    values.total.backward()  # type: ignore[no-untyped-call]
    terms = ", ".join(f"{name} {float(value):.3f}" for name, value in values.parts.items())
    console.print(f"One training step: loss {values.total.item():.3f} (last layer: {terms})")
    silent = without_gradient(module.model)
    if silent:
        why = "" if batch.image_mask.any() else "; there is no picture to learn from"
        console.print(f"Without a gradient: {', '.join(silent)}{why}")
    parts = parameters_by_part(module.model, module.learns)
    console.print(
        parameter_table(
            tuple(Part(name=p.name, total=p.total, trainable=p.trainable) for p in parts)
        )
    )
    learning = sum(p.trainable for p in parts)
    resting = sum(p.total - p.trainable for p in parts)
    states = (learning * BYTES_OF_ADAMW + resting * 4) / 2**20
    console.print(
        f"Memory for weights, gradients and AdamW: about {states:,.0f} MiB; activations of this "
        "batch come on top."
    )
    console.print("Everything a run needs is there.")


def _splits(run: Run) -> Table:
    table = Table(title=f"{run.source.name}, fingerprint {run.fingerprint.data[:12]}")
    for column in ("split", "tweets", "entities", "without picture", "longest (sub-words)"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for name, split in run.data.splits.items():
        table.add_row(
            name,
            f"{len(split.examples):,}",
            f"{sum(len(e.entities) for e in split.examples):,}",
            f"{sum(e.image is None for e in split.examples):,}",
            str(max(len(row.ids) for row in run.data.tokens[name])),
        )
    return table


def _tensors(record: TensorRecord) -> Table:
    table = Table(title="One training batch")
    table.add_column("field")
    table.add_column("shape")
    table.add_column("dtype")
    for name, value in vars(record).items():
        if isinstance(value, torch.Tensor):
            table.add_row(name, str(list(value.shape)), str(value.dtype).removeprefix("torch."))
    return table
