"""Outputs -> heat maps: which query speaks for a gold entity, and where it looks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gmbench.engine.costs import Activation, activate, gather_slots
from gmbench.scoring.pointing import Heat, patch_heat, region_heat
from gmbench.tensors import Batch, Outputs


@dataclass(frozen=True, slots=True, eq=False)
class EntityLook:
    """Where the query that speaks for a gold entity looks.

    Attributes:
        sample: row of the batch.
        gold: row of the gold entity.
        query: the query.
        heat: over the whole picture; from patches, or from painted-back candidate regions.
    """

    sample: int
    gold: int
    query: int
    heat: Heat


@torch.no_grad()
def entity_looks(
    outputs: Outputs, batch: Batch, span_activation: Activation
) -> tuple[EntityLook, ...]:
    """One look for each gold entity of each example that has a picture.

    A proposal-free model has to be asked for its attention (``model(batch, attention=True)``);
    of a proposal-based one the probabilities of its candidates are painted back.

    Args:
        outputs: of the last layer.
        batch: with targets.
        span_activation: as the model was trained.

    Raises:
        ValueError: no targets, or nothing in the outputs says where queries look.
    """
    if batch.targets is None:
        raise ValueError("looks for gold entities need a batch with targets")
    queries = speakers(outputs, batch, span_activation).tolist()
    weights = _weights(outputs, batch)
    sizes = batch.image_sizes.tolist()
    looks = []
    for b, (real, seen) in enumerate(
        zip(batch.targets.mask.tolist(), batch.image_mask.tolist(), strict=True)
    ):
        for g, query in enumerate(queries[b]):
            if not (real[g] and seen):
                continue
            row = weights[b, query].double().cpu().numpy()
            if batch.region_boxes is None:
                heat = patch_heat(row)
            else:
                boxes = batch.region_boxes[b, 1:].cpu().numpy()
                heat = region_heat(row[1:], boxes, (sizes[b][0], sizes[b][1]))
            looks.append(EntityLook(b, g, query, heat))
    return tuple(looks)


def speakers(outputs: Outputs, batch: Batch, span_activation: Activation) -> Tensor:
    """The query likeliest to name each gold entity, ``[B, G]``: by type and both ends alone."""
    targets = batch.targets
    assert targets is not None
    start = gather_slots(activate(outputs.start_logits, span_activation), targets.starts)
    end = gather_slots(activate(outputs.end_logits, span_activation), targets.ends)
    kind = gather_slots(outputs.type_logits.softmax(dim=-1), targets.types)
    return (kind * start * end).argmax(dim=1)  # [B, Q, G] -> [B, G]


def _weights(outputs: Outputs, batch: Batch) -> Tensor:
    """``[B, Q, P]`` over patches, or ``[B, Q, K + 1]`` over candidate slots."""
    if batch.region_boxes is not None and outputs.region_logits is not None:
        return outputs.region_logits.softmax(dim=-1)
    if outputs.attention is None or outputs.attention.query_to_patch is None:
        raise ValueError(
            "the outputs hold no attention over patches; ask for it: model(batch, attention=True)"
        )
    return outputs.attention.query_to_patch
