"""Targets with other gold rows: some entities repeated, each row a copy of one of them."""

from torch import Tensor

from gmbench.tensors import Targets


def take_rows(targets: Targets, gold: Tensor, mask: Tensor) -> Targets:
    """The gold entities that ``gold`` names, in its order.

    Args:
        targets: ``G`` gold entities a sample.
        gold: ``[B, N]`` index of the entity each new row copies; anything valid in padding.
        mask: ``[B, N]``, True where a row stands.
    """

    def take(values: Tensor) -> Tensor:
        rows = gold.view(*gold.shape, *[1] * (values.ndim - 2))
        return values.gather(1, rows.expand(-1, -1, *values.shape[2:]))

    return Targets(
        mask=mask,
        types=take(targets.types) * mask,
        starts=take(targets.starts) * mask,
        ends=take(targets.ends) * mask,
        boxes=take(targets.boxes),
        box_mask=take(targets.box_mask) & mask[..., None],
        regions=None if targets.regions is None else take(targets.regions) & mask[..., None],
    )
