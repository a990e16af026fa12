"""Speed and memory of gmbench against baselines measured in the same run.

  python -m tests.speed --size tiny
  python -m tests.speed --suite step --model mqspn --json before.json
  python -m tests.speed --suite step --model mqspn --against before.json
  python -m tests.speed --suite step --device cuda --batch 16 --batch 64 --precision fp32 --precision bf16

Random weights, no download, one thread: what is compared is process CPU time (on a GPU, wall time)
of tasks that took turns in one process. Exit codes: 0 done, 1 slower than --against, 2 bad
configuration or input.
"""  # noqa: E501

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

from gmbench.config import conf_dir, friendly
from gmbench.core.command_line import CommandLine
from gmbench.core.files import write_atomically
from tests.speed import report

SUITES = ("step", "data", "score", "matching", "memory")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = CommandLine("python -m tests.speed", __doc__)
    models = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))
    add = parser.add_argument
    add("--suite", action="append", choices=SUITES, help="may repeat; all by default")
    add("--model", action="append", choices=models, help="may repeat; all by default")
    add("--size", choices=("paper", "tiny"), default="paper", help="shapes")
    add("--repeats", type=int, default=3, help="rounds that count (default 3)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="for suite step (default cpu)")
    add("--batch", type=int, action="append", help="rows for suite step; may repeat")
    add("--precision", action="append", choices=("fp32", "bf16"), help="for suite step; may repeat")
    add("--compile", action="store_true", help="suite step: also under torch.compile")
    add("--json", type=Path, help="write everything to this file")
    add("--markdown", type=Path, help="write the tables to this file instead of printing them")
    add("--against", type=Path, help="list what got slower since this file of --json")
    add("overrides", nargs="*", help="of the models' configuration, as in a run")
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(arguments)
    if min(options.repeats, *(options.batch or [1])) < 1:
        parser.error("--repeats and --batch must be at least 1")
    options.suite = options.suite or list(SUITES)
    options.model = options.model or models
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads would count as CPU time
    try:
        before = None if options.against is None else report.read(options.against)
        content = _measure(options, shlex.join(["python", "-m", "tests.speed", *arguments]))
        slower = [] if before is None else report.regressions(content, before)
    except Exception as error:
        line = friendly(error, options.overrides)
        if line is None:
            raise
        print(line, file=sys.stderr)
        return 2
    page = report.page(content)
    if options.markdown is None:
        print(page, end="")
    else:
        write_atomically(options.markdown, page.encode())
    if options.json is not None:
        write_atomically(options.json, (json.dumps(content, indent=2) + "\n").encode())
    for line in slower:
        print(f"slower: {line}")
    return 1 if slower else 0


def _measure(options: argparse.Namespace, command: str) -> dict[str, object]:
    import torch

    from tests.speed import data, matching, memory, score, step
    from tests.speed.sizes import SIZES

    torch.set_num_threads(1)
    size, repeats = SIZES[options.size], options.repeats
    settings = step.Settings(
        device=options.device,
        batches=tuple(options.batch or ()),
        precisions=tuple(options.precision or ("fp32",)),
        compiled=options.compile,
    )
    tasks = {
        "step": lambda: step.run(options.model, size, repeats, options.overrides, settings),
        "data": lambda: data.run(size, repeats),
        "score": lambda: score.run(size, repeats),
        "matching": lambda: matching.run(size, repeats),
        "memory": lambda: memory.run(options.model, size, options.overrides),
    }
    findings = []
    for name in options.suite:
        print(f"suite {name} ...", file=sys.stderr)
        findings.append(tasks[name]())
    kept = ("suite", "model", "size", "device", "batch", "precision", "compile", "overrides")
    asked = {key: getattr(options, key) for key in kept}
    return report.document(findings, command=command, settings=asked)


if __name__ == "__main__":
    sys.exit(main())
