"""Candidate regions: V = [v_ug; v_1 .. v_k], one vector a slot, from cache or from pixels."""

import torch
from torch import Tensor

from gmbench.core.tensors import Batch
from gmbench.nn.layers import roi_vectors
from gmbench.nn.vision import VisionEncoder

GREY = 127 / 255
"""Level of the blank image in 0..1, as the data layer draws it."""


def region_vectors(encoder: VisionEncoder, batch: Batch) -> Tensor:
    """Vectors of the blank image (slot 0) and of the candidates, ``[B, k + 1, d]``.

    Whatever the batch carries is read: cached vectors, crops, or whole pictures with boxes, on
    whose one feature map the boxes are ROI-aligned.

    Raises:
        ValueError: the batch carries neither vectors nor pixels of its regions.
    """
    if batch.region_features is not None:
        return batch.region_features
    if batch.region_pixels is not None:
        rows, slots = batch.region_pixels.shape[:2]
        # [B, k + 1, 3, H, W] -> [B * (k + 1), d]
        vectors = encoder.vector(batch.region_pixels.flatten(0, 1))
        return vectors.view(rows, slots, -1)  # [B * (k + 1), d] -> [B, k + 1, d]
    if batch.region_boxes is None or (batch.pixels is None and batch.region_boxes.shape[1] > 1):
        raise ValueError("candidates need region_features, region_pixels or pixels in the batch")
    side = encoder.image_size if batch.pixels is None else batch.pixels.shape[-1]
    blank = _blank(encoder, side, batch.image_sizes.dtype).expand(len(batch), 1, -1)
    if batch.pixels is None:  # no picture in the whole batch, and so no candidate
        return blank
    share = batch.region_boxes[:, 1:] / batch.image_sizes.repeat(1, 2)[:, None]  # [B, k, 4]
    vectors = roi_vectors(encoder.feature_map(batch.pixels), share.to(batch.pixels.dtype))
    return torch.cat([blank, vectors], dim=1)  # [B, 1, d] and [B, k, d] -> [B, k + 1, d]


def _blank(encoder: VisionEncoder, side: int, dtype: torch.dtype) -> Tensor:
    """The mean state of the blank image, ``[1, d]``."""
    device = next(encoder.parameters()).device
    mean, std = (
        torch.tensor(values, dtype=dtype, device=device)[:, None, None]
        for values in (encoder.mean, encoder.std)
    )
    grey = (GREY - mean) / std  # [3, 1, 1]
    image = grey.expand(1, -1, side, side)  # [1, 3, side, side]
    return encoder.feature_map(image).mean(dim=(2, 3))  # [1, d, h, w] -> [1, d]
