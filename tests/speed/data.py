"""Suite ``data``: loading an example against decoding its picture once, and padding."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gmbench.core.entities import Candidates, Example
from gmbench.data.datamodule import LengthGroupedBatches
from gmbench.data.dataset import GroundedDataset, Input, Tokens
from gmbench.data.features import RegionFeatures
from gmbench.data.images import open_image
from gmbench.data.pixels import PixelSettings, crops
from tests.speed.measure import Findings, Row, Spread, take_turns
from tests.speed.sizes import Size

PICTURE = (640, 480)
WIDTH = 768


def run(size: Size, repeats: int) -> Findings:
    """Load the same pictures in every way, in turns; measure padding of sampled lengths."""
    with TemporaryDirectory() as folder:
        return _run(size, repeats, Path(folder))


def _run(size: Size, repeats: int, folder: Path) -> Findings:
    count, slots = 8 if size.paper else 2, size.regions + 1
    examples = [_example(folder, i, size.regions) for i in range(count)]
    settings = PixelSettings(
        image_size=size.pixels, crop_size=size.pixels, mean=(0.5,) * 3, std=(0.5,) * 3
    )
    cache = RegionFeatures(
        values=np.zeros((count * slots, WIDTH), np.float16),
        offsets=np.arange(count + 1) * slots,
    )

    def load_all(inputs: Input, features: RegionFeatures | None = None) -> None:
        dataset = GroundedDataset(
            examples,
            tokens=[Tokens((1, 2), (-1, -1))] * count,
            inputs=frozenset({inputs}),
            pixels=settings,
            num_regions=size.regions,
            features=features,
        )
        for i in range(count):
            dataset[i]

    def decode_per_region() -> None:
        """As the released code does: the same file is decoded for every region."""
        for example in examples:
            assert example.image is not None
            assert example.candidates is not None
            for box in example.candidates.boxes:
                crops(open_image(example.image, example.size), box[None], settings)

    laps = take_turns(
        {
            "decode": lambda: [open_image(e.image, e.size) for e in examples if e.image],
            "pixels": lambda: load_all("pixels"),
            "crops": lambda: load_all("regions"),
            "decoding per region": decode_per_region,
        },
        repeats=repeats,
    )
    quick = {"cached features": lambda: load_all("regions", cache)}
    laps |= take_turns(quick, repeats=repeats, calls=20)
    padded = padding(size.rows)
    return Findings(
        (
            *(lap.row("data", f"{count} examples: {name}") for name, lap in laps.items()),
            Row("data", "padding of 7,000 sentences", facts=padded),
        ),
        {
            "loader_pixels_over_decode": laps["pixels"].over(laps["decode"]),
            "loader_crops_over_decode": laps["crops"].over(laps["decode"]),
            "loader_crops_over_decoding_per_region": laps["crops"].over(
                laps["decoding per region"]
            ),
            "loader_cached_over_decoding_per_region": laps["cached features"].over(
                laps["decoding per region"]
            ),
            "padding_waste": Spread.of(padded["grouped"]),
        },
    )


def padding(batch_size: int, sentences: int = 7000) -> dict[str, float]:
    """Padded share of all sub-words: random batches, and the sampler's grouped ones.

    Lengths are log-normal with the median (21), the spread (0.37 of the logarithm) and the ends
    (5, 59) of Twitter-GMNER's training tweets under MiniLM's tokenizer.
    """
    rng = np.random.default_rng(0)
    lengths = np.clip(np.round(rng.lognormal(np.log(21), 0.37, sentences)), 5, 59).astype(int)
    shuffled = rng.permutation(sentences)
    random_batches = [
        shuffled[i : i + batch_size].tolist() for i in range(0, sentences, batch_size)
    ]
    grouped = list(LengthGroupedBatches(lengths.tolist(), batch_size=batch_size, seed=0))
    return {"random": waste(lengths, random_batches), "grouped": waste(lengths, grouped)}


def waste(lengths: NDArray[np.int64], batches: list[list[int]]) -> float:
    """Share of the places of padded batches that hold no sub-word."""
    places = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    return 1 - float(lengths.sum()) / places


def _example(folder: Path, number: int, regions: int) -> Example:
    """An example with a picture of coarse noise, which compresses about as a photograph does."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (PICTURE[1] // 8, PICTURE[0] // 8, 3), dtype=np.uint8)
    path = folder / f"{number}.jpg"
    Image.fromarray(coarse).resize(PICTURE, Image.Resampling.BICUBIC).save(path, quality=90)
    corner = rng.uniform(0, 300, (regions, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(20, 170, (regions, 2))], axis=1)
    return Example(
        id=str(number), words=("a",), image=path, size=PICTURE, candidates=Candidates(boxes)
    )
