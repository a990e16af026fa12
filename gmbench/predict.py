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
folder. A picture that cannot be read, or a text that is too long, marks its post with a note; a
line that is no post is left out. Both are told on standard error and the others go on.

Exit codes: 0 done, 2 bad input (also one line of many): one line names file, line and what,
128 + N ended by signal N.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gmbench.core.command_line import CommandLine, console, exit_code
from gmbench.core.errors import InputError, located
from gmbench.core.files import check_file
from gmbench.core.safe_text import to_json
from gmbench.serving.folders import is_export

if TYPE_CHECKING:
    from gmbench.serving.posts import Answer, Post
    from gmbench.serving.predictor import Predictor

REGIONS = (
    "grid, selective_search, ssd, detector:FOLDER, vinvl:PATH (npz folder or file), jsonl:PATH; "
    "default: the run's own, with its settings, if it needs the picture alone, otherwise ssd, "
    "selective_search or grid as installed"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb.

    Args:
        arguments: the command line's by default.
    """

    def predict() -> int:
        options = _parser().parse_args(arguments)
        if problem := _problem(options):
            raise InputError(f"gmbench.predict: {problem} (--help shows how)")
        is_export(options.folder)  # or at least a run
        from gmbench.serving.predictor import load  # torch: not for --help or a wrong path

        predictor = load(
            options.folder,
            device=options.device,
            regions=options.regions,
            num_regions=options.num_regions,
            boxes=options.boxes,
            trust=options.trust,
        )
        code = (_one if options.input is None else _many)(options, predictor)
        sys.stdout.flush()
        for line in predictor.record.limits:
            print(f"note: {line}", file=sys.stderr)
        return code

    return exit_code(predict)


def _problem(options: Namespace) -> str | None:
    """Options that do not go together, or a value that cannot be."""
    many, single = options.input is not None, options.text is not None or options.words is not None
    if not many and not single:
        return "nothing to read: give --text (or --words) and --image, or --input"
    if many and (single or options.image is not None):
        return "--input takes the place of --image, --text and --words"
    if many and options.out is not None:
        return "--out draws one post; with --input there are many"
    if not many and options.images is not None:
        return "--images belongs to --input"
    if options.batch_size < 1:
        return f"--batch-size must be at least 1, not {options.batch_size}"
    if many and options.input != "-" and not Path(options.input).exists():
        return f"--input: {located(options.input, 'no such file or folder')}"
    if options.image is not None and not options.image.is_file():
        return f"--image: {located(options.image, 'no such file')}"
    return None


def _one(options: Namespace, predictor: "Predictor") -> int:
    from gmbench.serving.posts import post

    image: Path | None = options.image
    name = "post" if image is None else image.stem
    answer = predictor.answer(post(options.text, words=options.words, image=image, id=name))
    if options.out is not None:
        from gmbench.data.images import open_upright
        from gmbench.serving.overlay import draw_answer

        draw_answer(answer, None if image is None else open_upright(image)[0], options.out)
    if options.format == "score":
        for line in answer.faults:
            print(line, file=sys.stderr)
    _write(answer, options)
    return 0


def _many(options: Namespace, predictor: "Predictor") -> int:
    from rich import progress

    columns = (
        progress.TextColumn("posts"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    screen = console(stderr=True)
    bar = progress.Progress(
        *columns, console=screen, transient=True, disable=not screen.is_terminal
    )
    total = marked = left_out = 0

    def tell(line: str) -> None:
        screen.print(line, soft_wrap=True, markup=False, highlight=False)

    def refuse(error: InputError) -> None:
        nonlocal left_out
        left_out += 1
        tell(str(error))

    with _posts(options, refuse) as (posts, expected), bar:
        task = bar.add_task("posts", total=expected)
        for answer in predictor.answers(posts, batch_size=options.batch_size):
            _write(answer, options)
            total += 1
            marked += bool(answer.faults)
            for line in answer.faults:
                tell(f"{answer.post.id}: {line}")
            bar.advance(task)
    sys.stdout.flush()
    parts = [f"{total:,} posts"]
    parts += [f"{marked:,} of them without their picture or answer"] * bool(marked)
    parts += [f"{left_out:,} more left out: no posts"] * bool(left_out)
    print(", ".join(parts), file=sys.stderr)
    return 2 if left_out else 0


@contextmanager
def _posts(
    options: Namespace, refuse: Callable[[InputError], None]
) -> Iterator[tuple[Iterator["Post"], int | None]]:
    """The posts, and their number where it is known."""
    from gmbench.serving.posts import read_folder, read_posts, texts_in

    if options.input == "-":
        yield read_posts(sys.stdin.buffer, Path("<stdin>"), options.images, refuse), None
        return
    path = Path(options.input)
    if path.is_dir():
        yield read_folder(path, refuse), len(texts_in(path))
        return
    check_file(path)
    with path.open("rb") as lines:
        expected = None
        if lines.seekable():
            expected = sum(block.count(b"\n") for block in iter(partial(lines.read, 2**20), b""))
            lines.seek(0)
        yield read_posts(lines, path, options.images, refuse), expected


def _write(answer: "Answer", options: Namespace) -> None:
    """One line of JSON on standard output."""
    record = answer.scorable() if options.format == "score" else answer.full()
    sys.stdout.write(to_json(record) + "\n")


def _parser() -> ArgumentParser:
    parser = CommandLine("python -m gmbench.predict", __doc__)
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="exported folder, or folder of a finished run")
    add("--image", type=Path, help="a picture")
    add("--text", help="its sentence; words are what stands between white space")
    add("--words", nargs="+", metavar="WORD", help="the words themselves, with --text or without")
    add("--out", type=Path, metavar="FILE.png", help="draw the answer into this picture")
    add("--input", metavar="POSTS", help="JSON lines (- for standard input), or a folder")
    add("--images", type=Path, metavar="FOLDER", help="where the pictures of --input lie")
    add("--regions", metavar="KIND", help=f"candidates of a model that chooses: {REGIONS}")
    add("--num-regions", type=int, metavar="N", help="how many of them (default: as in the run)")
    add("--boxes", action="store_true", help="also from a model that saw no picture in training")
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
