"""Coverage-guided fuzzing of the same readers: ``python -m tests.fuzz.guided READER -- OPTIONS``.

READER ``all``: the first byte of the data says which one gets the rest.

Needs atheris (``pip install atheris``), which is no dependency; options are libFuzzer's, say
``-max_total_time=600`` or a folder to keep its corpus in. A crash is printed with its bytes and
ends the process with an exit code other than 0.
"""

import argparse
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader")
    parser.add_argument("options", nargs="*")
    asked = parser.parse_args()
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["gmbench", "PIL", "zipfile", "yaml"]):
        from tests.fuzz.targets import stored
        from tests.fuzz.test_readers import attempt
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        readers = stored(folder)
        if asked.reader not in (*readers, "all"):
            print(f"{asked.reader}: not one of all, {', '.join(readers)}", file=sys.stderr)
            return 2
        chosen = list(readers.values()) if asked.reader == "all" else [readers[asked.reader]]
        corpus = folder / "corpus"
        corpus.mkdir()
        for number, target in enumerate(chosen):
            (corpus / str(number)).write_bytes(bytes([number]) + target.seed)

        def read(data: bytes) -> None:
            if data:
                attempt(chosen[data[0] % len(chosen)], folder, data[1:])

        options = [f"-artifact_prefix={folder}/", *asked.options, str(corpus)]
        atheris.Setup([sys.argv[0], *options], read)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
