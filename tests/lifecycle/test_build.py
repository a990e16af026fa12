"""What a run is built of, and what it refuses before and after training."""

import pytest
import torch

from gmbench.config import compose, parse
from gmbench.core.errors import InputError
from gmbench.lifecycle.build import build_run, frozen_encoder
from gmbench.lifecycle.record import Fit
from gmbench.nn.vision import tiny_vision
from tests.data.files import dataset


def build(tmp_path, *overrides):
    """A run of the MNER network on a small data set with types of its own."""
    places = f"data.root={tmp_path / 'data'}", f"cache={tmp_path / 'cache'}"
    small = "regions=grid", "encoders=tiny", "data.types={PER: person}"
    return build_run(parse(compose(["data=twitter_gmner", *places, *small, *overrides])))


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_sentence_beyond_the_encoder_is_refused_before_training(tmp_path, split):
    root = dataset(tmp_path / "data")
    with (root / "txt" / f"{split}.txt").open("a") as text:
        text.write("IMGID:long\n" + "word\tO\n" * 300)
    with pytest.raises(InputError, match=rf"{split}\.txt: example 'long' has \d+ sub-words") as why:
        build(tmp_path, "data.missing_image=blank")
    assert "the text encoder reads at most" in str(why.value)
    assert "shorten it" in str(why.value)


def test_a_checkpoint_to_be_tested_is_one_of_the_same_network(tmp_path):
    dataset(tmp_path / "data")
    run, file = build(tmp_path), tmp_path / "best.ckpt"
    own = run.module.state_dict()
    torch.save({"state_dict": own}, file)
    assert Fit.loaded(file, run).checkpoint == file
    name, tensor = next((name, tensor) for name, tensor in own.items() if tensor.dim())
    others = (
        (
            {**own, name: torch.cat([tensor, tensor])},
            f"(1 of its tensors do not fit, such as {name})",
        ),
        ({**own, "model.strange": tensor}, "such as model.strange)"),
        ({key: value for key, value in own.items() if key != name}, f"such as {name})"),
    )
    for state, why in others:
        torch.save({"state_dict": state}, file)
        with pytest.raises(InputError) as refused:
            Fit.loaded(file, run)
        assert f"ckpt: {file} is of another model or size" in str(refused.value)
        assert why in str(refused.value)
    for write in (
        lambda: torch.save({}, file),
        lambda: file.write_text("no"),
        lambda: file.write_bytes(b""),
    ):
        write()
        with pytest.raises(InputError, match=r"is no checkpoint \("):
            Fit.loaded(file, run)


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
