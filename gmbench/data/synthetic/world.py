"""The built-in world on disk, in the layout of the real data, built once for given settings."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from xml.sax.saxutils import escape

import numpy as np
from rich.progress import Progress

from gmbench.core.files import replacing, sweep
from gmbench.core.locks import held
from gmbench.data.synthetic.candidates import choose_covered, detect
from gmbench.data.synthetic.cast import draw_cast
from gmbench.data.synthetic.dials import Dials
from gmbench.data.synthetic.looks import COLOURS
from gmbench.data.synthetic.scenes import IntBox, render
from gmbench.data.synthetic.tweets import Lotteries, Tweet, gold_box, make_lotteries, plan_tweet

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
        folder = self.place(root)
        if folder.is_dir():
            return folder
        with held(root / f".{folder.name}.lock", folder, wait=True):
            if not folder.is_dir():
                sweep(root, folder.name)
                with replacing(folder) as building:
                    self._build(building)
        return folder

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
        for name in ("txt", "txt_fine", "xml", "images", "vinvl"):
            (folder / name).mkdir(parents=True)
        with Progress(transient=True) as progress:
            total = sum(getattr(self, split) for split in SPLITS)
            task = progress.add_task("Building the world", total=total)
            for split in SPLITS:
                tweets = self.plan(split)
                write_annotations(folder, split, tweets)
                counts = [len(tweet.gold) for tweet in tweets]
                rng = Random(f"{self.seed}/{split}/recall")
                covered = choose_covered(counts, self.candidate_recall, rng)
                for tweet, found in zip(tweets, covered, strict=True):
                    rng = Random(f"{self.seed}/{tweet.id}/candidates")
                    write_picture(folder, tweet, found, dials=self, rng=rng)
                    progress.advance(task)
        record = {"generator": GENERATOR_VERSION, "settings": self.settings()}
        (folder / "world.json").write_text(json.dumps(record, indent=2) + "\n")


def write_annotations(folder: Path, split: str, tweets: Sequence[Tweet]) -> None:
    """``txt/<split>.txt``, ``txt_fine/<split>.txt`` and an xml for each picture with gold boxes."""
    coarse: list[str] = []
    fine: list[str] = []
    for tweet in tweets:
        words = tweet.sentence.words
        tags = [("O", "O", "O")] * len(words)
        for mention in tweet.sentence.mentions:
            who = mention.subject
            for index in range(mention.start, mention.end + 1):
                part = "B" if index == mention.start else "I"
                tags[index] = f"{part}-{who.type}", f"{part}-{who.parent}", f"{part}-{who.subtype}"
        head = f"IMGID:{tweet.id}\n"
        rows = list(zip(words, tags, strict=True))
        coarse.append(head + "".join(f"{word}\t{tag}\n" for word, (tag, _, _) in rows))
        fine.append(head + "".join(f"{word}\t{tag}\t{sub}\n" for word, (_, tag, sub) in rows))
        objects = [
            (" ".join(words[mention.start : mention.end + 1]), gold_box(thing.box))
            for mention, things in zip(tweet.sentence.mentions, tweet.shown, strict=True)
            for thing in things
        ]
        if objects:
            path = folder / "xml" / f"{tweet.id}.xml"
            path.write_text(_xml(tweet.id, tweet.scene.size, objects), encoding="utf-8")
    for name, blocks in (("txt", coarse), ("txt_fine", fine)):
        path = folder / name / f"{split}.txt"
        path.write_text("\n".join(blocks), encoding="utf-8", newline="\n")


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
    np.savez(
        folder / "vinvl" / f"{tweet.id}.jpg.npz",
        bounding_boxes=boxes,
        scores=scores,
        num_boxes=np.int64(len(boxes)),
        image_w=np.int64(tweet.scene.size[0]),
        image_h=np.int64(tweet.scene.size[1]),
    )


def _xml(name: str, size: tuple[int, int], objects: Sequence[tuple[str, IntBox]]) -> str:
    """A VOC annotation."""
    lines = [
        "<annotation>",
        f"\t<filename>{name}.jpg</filename>",
        f"\t<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>",
    ]
    for label, box in objects:
        corners = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in corners)
        lines.append(
            f"\t<object><name>{escape(label)}</name><difficult>0</difficult>"
            f"<bndbox>{inner}</bndbox></object>"
        )
    return "\n".join([*lines, "</annotation>", ""])
