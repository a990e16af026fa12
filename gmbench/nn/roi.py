"""Vectors of regions from one feature map of the whole picture."""

import torch
from torch import Tensor
from torchvision.ops import roi_align

BINS = 4
"""A region is read at BINS x BINS places of 2 x 2 samples each, then averaged."""


def roi_vectors(feature_map: Tensor, boxes: Tensor) -> Tensor:
    """ROI-align (He et al. 2017), averaged over each box.

    Args:
        feature_map: ``[B, D, h, w]`` of whole pictures squashed to a square.
        boxes: ``[B, K, 4]`` xyxy in 0..1 of the pictures.

    Returns:
        ``[B, K, D]``.
    """
    batch, number = boxes.shape[:2]
    size = feature_map.shape[-2:]
    scale = boxes.new_tensor([size[1], size[0], size[1], size[0]])
    image = torch.arange(batch, device=boxes.device).repeat_interleave(number)[:, None]
    places = (boxes * scale).flatten(0, 1).to(feature_map.dtype)  # [B, K, 4] -> [B * K, 4]
    rois = torch.cat([image.to(places.dtype), places], dim=1)
    found: Tensor = roi_align(feature_map, rois, BINS, sampling_ratio=2, aligned=True)
    return found.mean(dim=(2, 3)).view(
        batch, number, feature_map.shape[1]
    )  # [B * K, D] -> [B, K, D]
