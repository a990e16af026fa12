"""Writes planned tweets in the layout of the real data: txt, txt_fine, xml, images, vinvl."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from xml.sax.saxutils import escape

import numpy as np

from gmbench.data.synthetic.candidates import detect
from gmbench.data.synthetic.dials import Dials
from gmbench.data.synthetic.looks import COLOURS
from gmbench.data.synthetic.scenes import IntBox, render
from gmbench.data.synthetic.tweets import Tweet, gold_box


def write_annotations(folder: Path, split: str, tweets: Sequence[Tweet]) -> None:
    """``txt/<split>.txt``, ``txt_fine/<split>.txt`` and an xml for each picture with gold boxes."""
    coarse: list[str] = []
    fine: list[str] = []
    for tweet in tweets:
        words = tweet.sentence.words
        tags = ["O"] * len(words), ["O"] * len(words), ["O"] * len(words)
        for mention in tweet.sentence.mentions:
            subject = mention.subject
            for column, label in zip(
                tags, (subject.type, subject.parent, subject.subtype), strict=True
            ):
                for index in range(mention.start, mention.end + 1):
                    column[index] = f"{'B' if index == mention.start else 'I'}-{label}"
        head = f"IMGID:{tweet.id}\n"
        types, parents, subtypes = tags
        rows = zip(words, types, parents, subtypes, strict=True)
        coarse.append(head + "".join(f"{w}\t{t}\n" for w, t in zip(words, types, strict=True)))
        fine.append(head + "".join(f"{w}\t{p}\t{s}\n" for w, _, p, s in rows))
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
        covered: which of ``tweet.gold`` the detector finds.
        dials: the world's settings.
        rng: the generator of this picture's candidates.
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
