"""The built-in world on disk, in the layout of the real data, built once for given settings."""

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rich.progress import Progress

from gmbench.core.files import locked
from gmbench.data.synthetic.candidates import choose_covered
from gmbench.data.synthetic.cast import draw_cast
from gmbench.data.synthetic.dials import Dials
from gmbench.data.synthetic.files import write_annotations, write_picture
from gmbench.data.synthetic.tweets import Lotteries, Tweet, make_lotteries, plan_tweet

GENERATOR_VERSION = 3
"""Raise it whenever the same dials would give different files."""

SPLITS = ("train", "dev", "test")
HELD_OUT = 0.35
"""Share of the cast kept for dev and test."""


@dataclass(frozen=True, kw_only=True)
class World(Dials):
    """A world of invented entities; see ``Dials`` for its settings."""

    @property
    def digest(self) -> str:
        """Ten hexadecimal digits of the settings and the generator's version."""
        text = json.dumps([GENERATOR_VERSION, self.settings()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def ensure(self, root: Path) -> Path:
        """The folder that holds this world, built if it is not there yet.

        Two processes may ask at once: one builds, the other waits (or, where the file system
        has no locks, builds too and throws its copy away). A folder that exists is complete.

        Args:
            root: parent folder, made if need be.

        Returns:
            ``root/world-<digest>`` with ``txt``, ``txt_fine``, ``xml``, ``images``, ``vinvl``
            and ``world.json`` (the settings).
        """
        folder = root / f"world-{self.digest}"
        if folder.is_dir():
            return folder
        root.mkdir(parents=True, exist_ok=True)
        with locked(root / f".{folder.name}.lock"):
            if folder.is_dir():
                return folder
            building = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=root))
            try:
                self._build(building)
                building.chmod(0o755)
                with contextlib.suppress(OSError):  # another process was first: keep its copy
                    building.replace(folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)
        if not folder.is_dir():
            raise OSError(f"could not move the built world to {folder}; is the folder writable?")
        return folder

    def plan(self, split: str) -> list[Tweet]:
        """The tweets of a split, before anything is drawn."""
        return self._plan(split, self.lotteries())

    def lotteries(self) -> Lotteries:
        """The world's cast, by who may be named where."""
        rng = Random(f"{self.seed}/cast")
        return make_lotteries(
            draw_cast(
                pool=self.pool,
                size=self.cast,
                ambiguity=self.ambiguity,
                held_out=HELD_OUT,
                rng=rng,
            )
        )

    def _plan(self, split: str, lotteries: Lotteries) -> list[Tweet]:
        unseen = 0.0 if split == "train" else self.unseen
        return [
            plan_tweet(
                f"{split}_{index:06d}",
                dials=self,
                lotteries=lotteries,
                unseen=unseen,
                rng=Random(f"{self.seed}/{split}/{index}"),
            )
            for index in range(getattr(self, split))
        ]

    def _build(self, folder: Path) -> None:
        lotteries = self.lotteries()
        for name in ("txt", "txt_fine", "xml", "images", "vinvl"):
            (folder / name).mkdir()
        with Progress(transient=True) as progress:
            total = sum(getattr(self, split) for split in SPLITS)
            task = progress.add_task("Building the world", total=total)
            for split in SPLITS:
                tweets = self._plan(split, lotteries)
                write_annotations(folder, split, tweets)
                covered = self._covered(split, tweets)
                for tweet, found in zip(tweets, covered, strict=True):
                    rng = Random(f"{self.seed}/{tweet.id}/candidates")
                    write_picture(folder, tweet, found, dials=self, rng=rng)
                    progress.advance(task)
        record = {"generator": GENERATOR_VERSION, "settings": self.settings()}
        (folder / "world.json").write_text(json.dumps(record, indent=2) + "\n")

    def _covered(self, split: str, tweets: Sequence[Tweet]) -> list[set[int]]:
        rng = Random(f"{self.seed}/{split}/recall")
        return choose_covered([len(t.gold) for t in tweets], self.candidate_recall, rng)
