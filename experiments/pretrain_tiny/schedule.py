"""AdamW with a linear warm-up and a cosine decay."""

from math import cos, pi

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR


def make_optimizer(parts: nn.Module, rate: float, steps: int) -> tuple[AdamW, LambdaLR]:
    """Optimizer and schedule over ``steps``; the first twentieth warms up."""
    optimizer = AdamW(parts.parameters(), lr=rate, weight_decay=0.02, betas=(0.9, 0.98))
    warm = max(1, steps // 20)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.02 + 0.98 * 0.5 * (1 + cos(pi * (step - warm) / max(1, steps - warm)))

    return optimizer, LambdaLR(optimizer, factor)
