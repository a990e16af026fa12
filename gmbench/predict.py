"""Entities of your own sentences and pictures: ``python -m gmbench.predict DIR``.

DIR is an exported folder or the folder of a finished run. JSON goes to standard output: one object
for one post, one line a post for many; spans are words (both ends inclusive), ``chars`` are offsets
into the text, boxes are pixels of the picture.

  python -m gmbench.predict DIR --image I.jpg --text "Lionel Messi in Rosario"
  python -m gmbench.predict DIR --image I.jpg --text "..." --out overlay.png
  python -m gmbench.predict DIR --text "no picture: no boxes"
  python -m gmbench.predict DIR --input posts.jsonl > answers.jsonl
  python -m gmbench.predict DIR --input FOLDER          (NAME.txt beside NAME.jpg)
  python -m gmbench.predict DIR --image I.jpg --text "..." --regions vinvl:I.jpg.npz

A line of posts.jsonl is {"id", "text" and/or "words", "image"}; image is a path from the file's own
folder. A picture that cannot be read marks its post with a note and the others go on.

Exit codes: 0 done, 2 bad input: one line names file, line and what, 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmbench.core.command_line import CommandLine
from gmbench.serving.answers import full, line_of, scorable

if TYPE_CHECKING:
    from gmbench.serving.posts import Post
    from gmbench.serving.predictor import Predictor

REGIONS = (
    "grid, selective_search, vinvl:PATH (npz folder or file), jsonl:PATH; default: the run's own "
    "if it needs the picture alone, otherwise grid"
)


class UsageError(ValueError):
    """The command line does not make sense; one line says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb.

    Args:
        arguments: the command line's by default.
    """
    options = _parser().parse_args(arguments)
    try:
        _check(options)
        return _run(options)
    except UsageError as error:
        print(f"gmbench.predict: {error} (--help shows how)", file=sys.stderr)
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
    except ValueError as error:  # data, configuration, folder: each a line of its own
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 2


def _check(options: argparse.Namespace) -> None:
    single = options.text is not None or options.words is not None
    if options.input is None and not single:
        raise UsageError("nothing to read: give --text (or --words) and --image, or --input")
    if options.input is not None and (single or options.image is not None):
        raise UsageError("--input takes the place of --image, --text and --words")
    if options.input is not None and options.out is not None:
        raise UsageError("--out draws one post; with --input there are many")
    if options.images is not None and options.input is None:
        raise UsageError("--images belongs to --input")
    if options.batch_size < 1:
        raise UsageError(f"--batch-size must be at least 1, not {options.batch_size}")
    if options.input is not None and options.input != "-" and not Path(options.input).exists():
        raise UsageError(f"--input: no file or folder {options.input}")


def _run(options: argparse.Namespace) -> int:
    from gmbench.serving.predictor import load  # torch: not for --help

    predictor = load(
        options.folder,
        device=options.device,
        regions=options.regions,
        num_regions=options.num_regions,
        trust=options.trust,
    )
    shape = scorable if options.format == "score" else full
    if options.input is None:
        _one(options, predictor, shape)
    else:
        _many(options, predictor, shape)
    return 0


def _one(
    options: argparse.Namespace, predictor: "Predictor", shape: Callable[[Any], dict[str, Any]]
) -> None:
    from gmbench.serving.posts import post

    image = None if options.image is None else Path(options.image)
    asked = post(
        options.text,
        words=options.words,
        image=image,
        id="post" if image is None else image.stem,
    )
    answer = predictor.answer(asked)
    if options.out is not None:
        from gmbench.data.images import open_upright
        from gmbench.serving.overlay import draw_answer

        draw_answer(answer, None if image is None else open_upright(image)[0], options.out)
    sys.stdout.write(line_of(shape(answer)))


def _many(
    options: argparse.Namespace, predictor: "Predictor", shape: Callable[[Any], dict[str, Any]]
) -> None:
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.TextColumn("posts"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    marked = total = 0
    with (
        _posts(options) as (posts, expected),
        rich_progress.Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        ) as bar,
    ):
        task = bar.add_task("posts", total=expected)
        for answer in predictor.answers(posts, batch_size=options.batch_size):
            sys.stdout.write(line_of(shape(answer)))
            total += 1
            bad = answer.size is None and answer.post.image is not None
            marked += bad
            if bad:
                line = f"{answer.post.id}: {answer.notes[0]}"
                console.print(line, soft_wrap=True, markup=False, highlight=False)
            bar.advance(task)
    sys.stdout.flush()
    told = f", {marked:,} of them without their picture or answer" if marked else ""
    print(f"{total:,} posts{told}", file=sys.stderr)


@contextmanager
def _posts(options: argparse.Namespace) -> Iterator[tuple[Iterator["Post"], int | None]]:
    """The posts, and how many there are where that is known."""
    from gmbench.serving.posts import read_folder, read_posts

    images = None if options.images is None else Path(options.images)
    if options.input == "-":
        yield read_posts(sys.stdin.buffer, Path("<stdin>"), images), None
        return
    path = Path(options.input)
    if path.is_dir():
        yield read_folder(path), sum(1 for item in path.iterdir() if item.suffix == ".txt")
        return
    with path.open("rb") as lines:
        expected = sum(1 for _ in lines)
    with path.open("rb") as lines:
        yield read_posts(lines, path, images), expected


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine("python -m gmbench.predict", __doc__)
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="exported folder, or folder of a finished run")
    add("--image", type=Path, help="a picture")
    add("--text", help="its sentence; words are what stands between white space")
    add("--words", nargs="+", metavar="WORD", help="the words themselves, with --text or without")
    add("--out", type=Path, metavar="FILE.png", help="draw the answer into this picture")
    add("--input", metavar="POSTS", help="JSON lines (- for standard input), or a folder")
    add("--images", metavar="FOLDER", help="where the pictures of --input lie")
    add("--regions", metavar="KIND", help=f"candidates of a model that chooses: {REGIONS}")
    add("--num-regions", type=int, metavar="N", help="how many of them (default: as in the run)")
    add("--format", choices=("full", "score"), default="full", help="score: as gmbench.score reads")
    add("--batch-size", type=int, default=16, metavar="N", help="posts a forward pass (16)")
    add("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, cuda:1 ...")
    add(
        "--trust",
        action="append",
        default=[],
        metavar="PREFIX",
        help="a package that DIR's model may come from beside gmbench and models (may repeat)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
