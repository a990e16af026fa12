"""The built-in world on disk, in the layout of the real data, built once for given settings."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random

from gmbench.core.progress import track
from gmbench.data.layout import LayoutWriter, build_once, gold_box, write_candidates
from gmbench.data.synthetic.candidates import choose_covered, detect
from gmbench.data.synthetic.cast import draw_cast
from gmbench.data.synthetic.dials import Dials
from gmbench.data.synthetic.looks import COLOURS
from gmbench.data.synthetic.scenes import render
from gmbench.data.synthetic.tweets import Lotteries, Tweet, make_lotteries, plan_tweet

GENERATOR_VERSION = 3
"""Raise it whenever the same settings would give different files."""

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

    def place(self, root: Path) -> Path:
        """``root/world-<digest>``."""
        return root / f"world-{self.digest}"

    def ensure(self, root: Path) -> Path:
        """Return the folder that holds this world, building it if it does not exist.

        If two processes ask at once, one builds and the other waits. A folder that exists is
        complete.

        Args:
            root: parent folder, created if necessary.

        Returns:
            ``root/world-<digest>`` with ``txt``, ``txt_fine``, ``xml``, ``images``, ``vinvl``
            and ``world.json`` (the settings).
        """
        return build_once(self.place(root), self._build)

    @cached_property
    def lotteries(self) -> Lotteries:
        """The world's cast, by who may be named where."""
        cast = draw_cast(
            pool=self.pool,
            size=self.cast,
            ambiguity=self.ambiguity,
            held_out=HELD_OUT,
            rng=Random(f"{self.seed}/cast"),
        )
        return make_lotteries(cast)

    def plan(self, split: str) -> list[Tweet]:
        """The tweets of a split, before anything is drawn."""
        unseen = 0.0 if split == "train" else self.unseen
        return [
            plan_tweet(
                f"{split}_{index:06d}",
                dials=self,
                lotteries=self.lotteries,
                unseen=unseen,
                rng=Random(f"{self.seed}/{split}/{index}"),
            )
            for index in range(getattr(self, split))
        ]

    def _build(self, folder: Path) -> None:
        for split in SPLITS:
            tweets = self.plan(split)
            counts = [len(tweet.gold) for tweet in tweets]
            rng = Random(f"{self.seed}/{split}/recall")
            covered = choose_covered(counts, self.candidate_recall, rng)
            with LayoutWriter(folder, split) as layout:
                pairs = zip(tweets, covered, strict=True)
                for tweet, found in track(pairs, f"drawing the {split} split", len(tweets)):
                    words, size = tweet.sentence.words, tweet.scene.size
                    layout.write(tweet.id, words, tweet.annotated, size)
                    rng = Random(f"{self.seed}/{tweet.id}/candidates")
                    write_picture(folder, tweet, found, dials=self, rng=rng)
        record = {"generator": GENERATOR_VERSION, "settings": self.settings()}
        (folder / "world.json").write_text(json.dumps(record, indent=2) + "\n")


def write_picture(
    folder: Path, tweet: Tweet, covered: set[int], *, dials: Dials, rng: Random
) -> None:
    """``images/<id>.jpg`` and ``vinvl/<id>.jpg.npz``.

    Args:
        folder: the world's folder.
        tweet: the plan.
        covered: indices of the boxes of ``tweet.gold`` that the detector finds.
        dials: the world's settings.
        rng: generator of this picture's candidates.
    """
    picture = render(tweet.scene, COLOURS[dials.pool], dials.clutter)
    picture.save(folder / "images" / f"{tweet.id}.jpg", quality=dials.quality)
    boxes, scores = detect(
        [gold_box(thing.box) for thing in tweet.gold],
        covered,
        [gold_box(thing.box) for thing in tweet.others],
        size=tweet.scene.size,
        count=dials.candidates,
        rng=rng,
    )
    write_candidates(folder, tweet.id, tweet.scene.size, boxes, scores)
