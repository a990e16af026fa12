"""Export a finished run's model: ``python -m gmbench.export RUN DIR``.

DIR then holds weights (safetensors), the resolved configuration, labels, tokenizer, preprocessing
and a model card; ``gmbench.load(DIR)`` and ``python -m gmbench.predict DIR`` need nothing else.
The weights are read back and compared bit for bit before DIR appears.

  python -m gmbench.export runs/default/mqspn/synthetic/seed=1 exported/mqspn

Exit codes: 0 done, 2 anything wrong: one line says what, 128 + N ended by signal N.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from gmbench.core.command_line import CommandLine, exit_code
from gmbench.serving.folders import check_new


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb.

    Args:
        arguments: the command line's by default.
    """

    def export() -> int:
        options = _parser().parse_args(arguments)
        check_new(options.run, options.folder)
        from gmbench.serving.export import export_run  # torch: not for --help or a wrong path

        model = export_run(options.run, options.folder, tuple(options.trust)).record.model
        size = sum(file.stat().st_size for file in options.folder.rglob("*") if file.is_file())
        print(f"{options.folder}: {model}, {size / 2**20:.1f} MiB, as trained bit for bit")
        print(f"try: python -m gmbench.predict {options.folder} --image I.jpg --text '...'")
        return 0

    return exit_code(export)


def _parser() -> ArgumentParser:
    parser = CommandLine("python -m gmbench.export", __doc__)
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder of a finished run")
    add("folder", type=Path, metavar="DIR", help="folder to make")
    add(
        "--trust",
        action="append",
        default=[],
        metavar="PREFIX",
        help="a package of yours that the run's model comes from, such as mymodels. (may repeat)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
