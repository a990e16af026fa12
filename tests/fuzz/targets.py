"""Readers of foreign files, each with a whole file to start from."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gmbench.core.entities import Example
from gmbench.data.bio import read_blocks
from gmbench.data.images import open_image
from gmbench.data.regions.jsonl import JsonLines
from gmbench.data.regions.vinvl import VinVL
from gmbench.data.voc import read_voc
from gmbench.reporting.record import read_analysis, read_result, write_analysis, write_result
from gmbench.scoring.analysis import analyse
from gmbench.scoring.files import read_gold, read_predictions, read_tweet_table
from gmbench.scoring.intervals import tweet_table
from tests.fuzz import configurations
from tests.reporting import sample

GOLD = (Example("1", ("Lionel", "Messi", "wins"), size=(20, 20)),)
BIO = "IMGID:1\nLionel\tB-PER\nMessi\tI-PER\nwins\tO\n\nIMGID:2\nYork\tB-LOC\n"
XML = (
    "<annotation><size><width>20</width><height>20</height><depth>3</depth></size><object>"
    "<name>Lionel Messi</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax>"
    "</bndbox></object></annotation>"
)
GOLD_LINE = (
    '{"id":"1","words":["Lionel","Messi"],"entities":[{"start":0,"end":1,"type":"PER",'
    '"boxes":[[1,2,9,8]]}]}\n'
)
PREDICTION = (
    '{"id":"1","entities":[{"start":0,"end":1,"type":"PER","box":[1,2,9,8],"score":0.5}]}\n'
)
BOXES = '{"id":"1","boxes":[[1,2,9,8],[0,0,20,20]],"scores":[0.9,0.1]}\n'
TWEETS = "id,pred,gold,gmner_tp,mner_tp,eeg_tp\n1,2,1,1,1,1\n2,0,1,0,0,0\n"


@dataclass(frozen=True, repr=False)
class Target:
    """One reader.

    Attributes:
        name: of the file that it reads.
        seed: a whole file.
        read: what is done with the file.
    """

    name: str
    seed: bytes
    read: Callable[[Path], object]

    def __repr__(self) -> str:
        return self.name


def npz() -> bytes:
    """Candidates as VinVL leaves them, compressed."""
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        bounding_boxes=np.array([[1.0, 2.0, 9.0, 8.0], [0.0, 0.0, 20.0, 20.0]]),
        box_features=np.ones((2, 3), dtype=np.float32),
        num_boxes=np.array(2),
        image_w=np.array(20),
        image_h=np.array(20),
    )
    return stream.getvalue()


def jpeg() -> bytes:
    """A small picture."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (20, 20), (9, 99, 199)).save(stream, "JPEG")
    return stream.getvalue()


def vinvl(path: Path) -> object:
    """The candidates of tweet 1."""
    return VinVL(folder=path.parent, k=5, features=True)(id="1", image=None, size=(20, 20))


def targets(result: bytes, analysis: bytes) -> dict[str, Target]:
    """All readers by a short name; ``result`` and ``analysis`` are files of a run."""
    known = ("PER", "LOC")
    return {
        "bio": Target(
            "train.txt",
            BIO.encode(),
            lambda path: read_blocks(path, tag_column=1, types=known),
        ),
        "xml": Target("1.xml", XML.encode(), read_voc),
        "npz": Target("1.jpg.npz", npz(), vinvl),
        "image": Target("1.jpg", jpeg(), open_image),
        "regions": Target(
            "boxes.jsonl",
            BOXES.encode(),
            lambda path: JsonLines(path=path, k=5)(id="1", image=None, size=(20, 20)),
        ),
        "gold": Target("gold.jsonl", GOLD_LINE.encode(), read_gold),
        "predictions": Target(
            "pred.jsonl",
            PREDICTION.encode(),
            lambda path: read_predictions(path, GOLD),
        ),
        "config": Target("config.yaml", configurations.stored(), configurations.checked),
        "tweets": Target("tweets.test.csv", TWEETS.encode(), read_tweet_table),
        "result": Target("result.json", result, read_result),
        "analysis": Target("analysis.json", analysis, read_analysis),
    }


def stored(folder: Path) -> dict[str, Target]:
    """All readers, with the files of a run to start from."""
    write_result(folder / "result.json", sample.sample())
    table = tweet_table({e.id: e.entities for e in sample.GOLD}, sample.PREDICTIONS)
    found = analyse(sample.GOLD, sample.PREDICTIONS, table, proposals=1, resamples=9)
    write_analysis(folder / "analysis.json", found)
    return targets(*((folder / n).read_bytes() for n in ("result.json", "analysis.json")))
