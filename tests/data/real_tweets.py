"""The 30 tweets whose pictures are at hand, as a test split in the layout of your own data.

  python -m tests.data.real_tweets FOLDER

``FOLDER/conf`` is the ``--config-dir`` of the data set ``own``. The texts and annotations are those
of Twitter-GMNER, the pictures are scaled back to the size that the boxes were drawn on. Train and
dev, which a run wants, are one post each that names nothing. Nothing of it may be passed on.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import yaml
from PIL import Image

from gmbench.data.source import SPLITS

SHARED = Path(os.environ.get("GMBENCH_SHARED", Path(__file__).resolve().parents[3] / "shared"))
TYPES = {"PER": "Person", "LOC": "Location", "ORG": "Organization", "OTHER": "Others"}


def write(folder: Path, shared: Path) -> Path:
    """Write the data set into ``folder`` and return its configuration directory.

    Args:
        folder: is created.
        shared: with ``data/real_images`` and ``data/twitter_gmner``.
    """
    pictures, tweets = shared / "data" / "real_images", shared / "data" / "twitter_gmner"
    index = {entry["id"]: entry for entry in json.loads((pictures / "index.json").read_text())}
    for name in ("txt", "xml", "images", "vinvl", "conf/data"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    texts = [(tweets / "txt" / f"{split}.txt").read_text(encoding="utf-8") for split in SPLITS]
    blocks = [block for text in texts for block in text.strip().split("\n\n")]
    chosen = [one for one in blocks if one.split("\n")[0].removeprefix("IMGID:") in index]
    (folder / "txt" / "test.txt").write_text("\n\n".join(chosen) + "\n", encoding="utf-8")
    for name, word in (("train", "hello"), ("dev", "goodbye")):
        (folder / "txt" / f"{name}.txt").write_text(f"IMGID:{word}\n{word}\tO\n")
        Image.new("RGB", (64, 64), "grey").save(folder / "images" / f"{word}.jpg")
    for id_, entry in index.items():
        with Image.open(pictures / entry["file"]) as small:
            big = small.resize((entry["orig_w"], entry["orig_h"]))
        big.save(folder / "images" / f"{id_}.jpg", quality=95)
        for source in (tweets / "xml" / f"{id_}.xml", pictures / "vinvl" / f"{id_}.jpg.npz"):
            if source.is_file():
                shutil.copyfile(source, folder / source.parent.name / source.name)
    own = {
        "_target_": "gmbench.data.source.DataSource", "name": "real_tweets",
        "root": str(folder.resolve()), "text_dir": "txt", "xml_dir": "xml", "image_dir": "images",
        "tag_column": 1, "types": TYPES, "missing_image": "error", "bad_input": "error",
        "drop_leaked": False, "limit": None, "world": None,
    }  # fmt: skip
    (folder / "conf" / "data" / "own.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
    return folder / "conf"


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), SHARED))
