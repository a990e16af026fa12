"""Speed and memory against floors measured in the same run.

  python -m tests.speed --size tiny
  python -m tests.speed --suite step --model mqspn --json before.json
  python -m tests.speed --suite step --model mqspn --against before.json

Random weights, no download, one thread: what is compared is process CPU time of tasks that took
turns in one process. Exit codes: 0 done, 1 slower than --against, 2 bad configuration or input.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gmbench.config import conf_dir, friendly
from gmbench.core.command_line import CommandLine
from gmbench.core.files import write_atomically

if TYPE_CHECKING:
    from tests.speed.device import Settings

USUAL = ("step", "data", "score", "matching", "memory")
SUITES = (*USUAL, "scale", "device")


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = CommandLine("python -m tests.speed", __doc__)
    names = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))
    parser.add_argument(
        "--model", action="append", choices=names, help="may repeat; all by default"
    )
    parser.add_argument(
        "--suite",
        action="append",
        choices=SUITES,
        help="may repeat; all but scale and device by default",
    )
    parser.add_argument("--size", choices=("paper", "tiny"), default="paper", help="of the shapes")
    parser.add_argument("--repeats", type=int, default=3, help="rounds that count (default 3)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default 1)")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    parser.add_argument("--markdown", type=Path, help="write goals and tables to this file")
    parser.add_argument(
        "--read",
        type=Path,
        action="append",
        help="measure nothing: show what --json wrote, as Markdown; may repeat",
    )
    parser.add_argument("--against", type=Path, help="flag what got slower since this file")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="suite device alone, there")
    parser.add_argument("--batch", type=int, action="append", help="of device (16, 64, 256)")
    parser.add_argument(
        "--precision", action="append", choices=("fp32", "bf16"), help="of device (both)"
    )
    parser.add_argument("--eager", action="store_true", help="device: without torch.compile")
    parser.add_argument("overrides", nargs="*", help="of the models' configuration, as in a run")
    options = parser.parse_args(arguments)
    if min(options.repeats, options.threads, *(options.batch or [1])) < 1:
        parser.error("--repeats, --threads and --batch must be at least 1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads would count as CPU time
    from tests.speed.document import BadDocument
    from tests.speed.measure import NoDevice

    try:
        usual = USUAL if options.device is None else ("device",)
        return _run(options, options.model or names, options.suite or list(usual))
    except (BadDocument, NoDevice) as error:
        line: str | None = str(error)
    except Exception as error:
        line = friendly(error, options.overrides)
        if line is None:
            raise
    print(line, file=sys.stderr)
    return 2


def _run(options: argparse.Namespace, models: list[str], suites: list[str]) -> int:
    from gmbench.benching import document as documents
    from tests.speed.markdown import page

    if options.read:
        contents = [documents.read(path) for path in options.read]
        if options.markdown is None:
            print(page(contents), end="")
        else:
            write_atomically(options.markdown, page(contents).encode())
        return 0
    before = None if options.against is None else documents.read(options.against)
    import torch
    from rich.console import Console

    from gmbench.benching import data, device, matching, memory, scale, score, step
    from tests.speed.sizes import SIZES

    torch.set_num_threads(options.threads)
    size, repeats, overrides = SIZES[options.size], options.repeats, options.overrides
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    tasks = {
        "step": lambda: step.run(models, size, repeats, overrides),
        "data": lambda: data.run(size, repeats),
        "score": lambda: score.run(size, repeats),
        "matching": lambda: matching.run(size, repeats),
        "memory": lambda: memory.run(models, size, overrides),
        "scale": lambda: scale.run(size),
        "device": lambda: device.run(models, size, repeats, overrides, _device(options)),
    }
    findings = []
    for name in suites:
        with console.status(f"suite {name}"):
            findings.append(tasks[name]())
    settings = {"models": models, "suites": suites, "size": options.size, "overrides": overrides}
    content = documents.document(
        findings, documents.machine(options.threads, torch.__version__), settings
    )
    content["command"] = " ".join(["python -m tests.speed", *_told(options)])
    console.print(documents.row_table([row for found in findings for row in found.rows]))
    console.print(documents.ratio_table(content))
    for name, note in content["notes"].items():
        console.print(f"{name}: {note}")
    if options.json is not None:
        documents.write(options.json, content)
    if options.markdown is not None:
        write_atomically(options.markdown, page([content]).encode())
    worse = [] if before is None else documents.regressions(content, before)
    for line in worse:
        console.print(f"slower: {line}")
    return 1 if worse else 0


def _device(options: argparse.Namespace) -> "Settings":
    """What ``--device`` and its companions ask for."""
    from tests.speed.device import Settings

    return Settings(
        device=options.device or "cpu",
        batches=tuple(options.batch or (16, 64, 256)),
        precisions=tuple(options.precision or ("fp32", "bf16")),
        compiled=not options.eager,
    )


def _told(options: argparse.Namespace) -> list[str]:
    """The options that decide what is measured, as they would be typed."""
    words = []
    for key in ("suite", "model", "batch", "precision"):
        words += [f"--{key} {value}" for value in getattr(options, key) or []]
    for key, usual in (("device", None), ("size", "paper"), ("repeats", 3), ("threads", 1)):
        if getattr(options, key) != usual:
            words.append(f"--{key} {getattr(options, key)}")
    return [*words, *(["--eager"] if options.eager else []), *options.overrides]


if __name__ == "__main__":
    sys.exit(main())
