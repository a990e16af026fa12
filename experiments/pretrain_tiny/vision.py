"""Pretrains the small ViT densely: every patch tells the thing it lies on, and its box.

Per patch: on a thing or not, distances to the four sides of its box, kind of shape, both colours
and the pattern. Per crop, from the mean over its patches: the same of the thing it is about. All
heads are thrown away.
"""

import torch
import torch.nn.functional as F
from rich.progress import Progress
from torch import Tensor, nn
from torchvision.ops import box_convert

from experiments.pretrain_tiny.pictures import ABSENT, Pictures, draw_pictures
from experiments.pretrain_tiny.recipe import Recipe
from experiments.pretrain_tiny.schedule import make_optimizer
from gmbench.core.boxes import giou
from gmbench.data.synthetic.cast import PARENTS
from gmbench.data.synthetic.looks import PATTERNS
from gmbench.nn.vision import VisionEncoder, tiny_vision

KINDS = len(PARENTS)
SIZES = (1, 4, KINDS, len(PATTERNS), 6)
"""Outputs of the patch head: on a thing, sides, kind, pattern, colours."""


def normalise(pixels: Tensor) -> Tensor:
    """Bytes ``[B, S, S, 3]`` -> floats ``[B, 3, S, S]`` from -1 to 1 (mean and deviation 0.5)."""
    return pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


class Heads(nn.Module):
    """The heads that are thrown away, and their losses."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.patch = nn.Linear(width, sum(SIZES))
        self.present = nn.Linear(width, KINDS)
        self.about = nn.Linear(width, KINDS + 1 + len(PATTERNS) + 6)

    def losses(self, tokens: Tensor, pictures: Pictures) -> dict[str, Tensor]:
        """Dense losses and, where the pictures are crops, those of the whole crop.

        Args:
            tokens: ``[B, P, D]``, one a patch.
            pictures: their targets.
        """
        owner, centres = assign(pictures, tokens.shape[1])  # [B, P], [P, 2]
        pooled = tokens.mean(dim=1)  # [B, D]
        on, sides, kind, pattern, tones = self.patch(tokens).split(SIZES, dim=-1)
        hit = owner >= 0
        row = torch.arange(len(owner))[:, None].expand_as(owner)[hit]
        thing = owner[hit]
        centre = centres.expand(len(owner), -1, -1)[hit]
        reach = F.softplus(sides[hit])
        guess = torch.cat([centre - reach[:, :2], centre + reach[:, 2:]], dim=-1)
        truth = pictures.boxes[row, thing]
        overlap = giou(box_convert(guess, "xyxy", "cxcywh"), box_convert(truth, "xyxy", "cxcywh"))
        present = F.one_hot(pictures.kinds + 1, KINDS + 1).amax(dim=1)[:, 1:].float()
        found = {
            "inside": F.binary_cross_entropy_with_logits(on.squeeze(-1), hit.float()),
            "sides": (guess - truth).abs().sum(-1).mean(),
            "giou": (1 - overlap).mean(),
            "kind": F.cross_entropy(kind[hit], pictures.kinds[row, thing]),
            "pattern": 0.5 * F.cross_entropy(pattern[hit], pictures.patterns[row, thing]),
            "colours": 2
            * (torch.sigmoid(tones[hit]) - pictures.colours[row, thing]).abs().sum(-1).mean(),
            "present": F.binary_cross_entropy_with_logits(self.present(pooled), present),
        }
        about = pictures.main >= 0
        if about.any():
            index = torch.arange(len(about))[about]
            main = pictures.main[about]
            kind, pattern, tones = self.about(pooled).split((KINDS + 1, len(PATTERNS), 6), dim=-1)
            wanted = torch.zeros(len(about), dtype=torch.long)
            wanted[about] = pictures.kinds[index, main] + 1
            colours = pictures.colours[index, main]
            found |= {
                "about_kind": F.cross_entropy(kind, wanted),
                "about_pattern": 0.5
                * F.cross_entropy(pattern[about], pictures.patterns[index, main]),
                "about_colours": 2 * (torch.sigmoid(tones[about]) - colours).abs().sum(-1).mean(),
            }
        return found


def assign(pictures: Pictures, patches: int) -> tuple[Tensor, Tensor]:
    """Which thing each patch lies on.

    A patch belongs to the smallest thing that holds its centre; the patch that holds the centre
    of a thing belongs to it in any case, so that no thing is too small to be learnt.

    Returns:
        ``[B, P]`` index of the thing or ``ABSENT``, and the patches' centres ``[P, 2]`` in 0..1.
    """
    side = round(patches**0.5)
    axis = (torch.arange(side) + 0.5) / side
    centres = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).reshape(-1, 2)
    boxes = pictures.boxes[:, None]  # [B, 1, M, 4]
    point = centres[None, :, None]  # [1, P, 1, 2]
    holds = ((point > boxes[..., :2]) & (point < boxes[..., 2:])).all(-1)
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    holds |= ((middle - point).abs() <= 0.5 / side).all(-1)
    holds &= (pictures.kinds != ABSENT)[:, None]
    extent = (boxes[..., 2:] - boxes[..., :2]).prod(-1).expand_as(holds)
    smallest = extent.masked_fill(~holds, 9.0).argmin(dim=-1)
    return torch.where(holds.any(-1), smallest, ABSENT), centres


def pretrain_vision(recipe: Recipe) -> tuple[VisionEncoder, dict[str, float]]:
    """Train; the model and the mean losses of the last tenth of the steps."""
    settings = recipe.vision
    torch.manual_seed(recipe.seed)
    model = tiny_vision(pretrained=False)
    heads = Heads(model.width)
    parts = nn.ModuleList([model, heads])
    optimizer, schedule = make_optimizer(parts, settings.rate, settings.steps)
    generator = torch.Generator().manual_seed(recipe.seed)
    totals: dict[str, float] = {}
    last = max(1, settings.steps // 10)
    with Progress(transient=True) as progress:
        drawing = progress.add_task("Drawing scenes", total=settings.scenes)
        scenes, crops = draw_pictures(
            recipe, progress.track(range(settings.scenes), task_id=drawing)
        )
        task = progress.add_task("Vision encoder", total=settings.steps)
        for step in range(settings.steps):
            losses: dict[str, Tensor] = {}
            for name, pictures, count in (
                ("scene", scenes, settings.batch),
                ("crop", crops, settings.crops),
            ):
                batch = pictures.take(torch.randint(len(pictures), (count,), generator=generator))
                batch = _flip(batch, generator)
                tokens = model(normalise(batch.pixels))
                found = heads.losses(tokens, batch)
                losses |= {f"{name}_{key}": value for key, value in found.items()}
            optimizer.zero_grad()
            torch.stack(tuple(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            progress.advance(task)
            if step >= settings.steps - last:
                for key, value in losses.items():
                    totals[key] = totals.get(key, 0.0) + value.item() / last
    return model.eval(), totals


def _flip(pictures: Pictures, generator: torch.Generator) -> Pictures:
    """Mirror half of them, boxes and all."""
    turned = torch.rand(len(pictures), generator=generator) < 0.5
    pixels, boxes = pictures.pixels, pictures.boxes
    mirrored = torch.stack(
        [1 - boxes[..., 2], boxes[..., 1], 1 - boxes[..., 0], boxes[..., 3]], dim=-1
    )
    return Pictures(
        torch.where(turned[:, None, None, None], pixels.flip(2), pixels),
        torch.where(turned[:, None, None], mirrored, boxes),
        pictures.kinds,
        pictures.patterns,
        pictures.colours,
        pictures.main,
    )
