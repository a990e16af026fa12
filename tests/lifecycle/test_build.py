import pytest
import torch

from gmbench.lifecycle.build import frozen_encoder
from gmbench.nn.vision import tiny_vision


def check_still_trainable(device: torch.device) -> None:
    encoder = tiny_vision(pretrained=False)
    encode = frozen_encoder(encoder, device)
    pixels = torch.rand(1, 3, 96, 96)
    assert encode(pixels, None).device.type == "cpu"
    assert not any(parameter.is_inference() for parameter in encoder.parameters())
    encoder.requires_grad_(True)


def test_an_encoder_that_filled_a_cache_may_still_be_trained():
    check_still_trainable(torch.device("cpu"))


@pytest.mark.gpu
def test_also_on_a_gpu():
    check_still_trainable(torch.device("cuda"))
