"""Speed and memory against floors measured in the same run.

  python -m gmbench.bench --size tiny
  python -m gmbench.bench --suite step --model mqspn --json before.json
  python -m gmbench.bench --suite step --model mqspn --against before.json

Random weights, no download, one thread: what is compared is process CPU time of tasks that took
turns in one process. Exit codes: 0 done, 1 slower than --against, 2 bad configuration or input.
"""

import argparse
import os
import sys
from pathlib import Path

from gmbench.command_line import CommandLine
from gmbench.config import conf_dir, friendly

SUITES = ("step", "data", "score", "matching", "memory")


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = CommandLine("python -m gmbench.bench", __doc__)
    names = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))
    parser.add_argument(
        "--model", action="append", choices=names, help="may repeat; all by default"
    )
    parser.add_argument(
        "--suite", action="append", choices=SUITES, help="may repeat; all by default"
    )
    parser.add_argument("--size", choices=("paper", "tiny"), default="paper", help="of the shapes")
    parser.add_argument("--repeats", type=int, default=3, help="rounds that count (default 3)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default 1)")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    parser.add_argument("--against", type=Path, help="flag what got slower since this file")
    parser.add_argument("overrides", nargs="*", help="of the models' configuration, as in a run")
    options = parser.parse_args(arguments)
    if options.repeats < 1 or options.threads < 1:
        parser.error("--repeats and --threads must be at least 1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads would count as CPU time
    from gmbench.benching.document import BadDocument

    try:
        return _run(options, options.model or names, options.suite or list(SUITES))
    except BadDocument as error:
        line: str | None = str(error)
    except Exception as error:
        line = friendly(error, options.overrides)
        if line is None:
            raise
    print(line, file=sys.stderr)
    return 2


def _run(options: argparse.Namespace, models: list[str], suites: list[str]) -> int:
    from gmbench.benching import document as documents

    before = None if options.against is None else documents.read(options.against)
    import torch
    from rich.console import Console

    from gmbench.benching import data, matching, memory, score, step
    from gmbench.benching.sizes import SIZES

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
    }
    findings = []
    for name in suites:
        with console.status(f"suite {name}"):
            findings.append(tasks[name]())
    settings = {"models": models, "suites": suites, "size": options.size, "overrides": overrides}
    content = documents.document(
        findings, documents.machine(options.threads, torch.__version__), settings
    )
    console.print(documents.row_table([row for found in findings for row in found.rows]))
    console.print(documents.ratio_table(content))
    for name, note in content["notes"].items():
        console.print(f"{name}: {note}")
    if options.json is not None:
        documents.write(options.json, content)
    worse = [] if before is None else documents.regressions(content, before)
    for line in worse:
        console.print(f"slower: {line}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
