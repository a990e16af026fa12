"""Minutes of broken files: ``python -m tests.fuzz.long [--minutes 10] [--reader NAME]``.

Files are whole ones with a few edits, as in the tests.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.targets import stored
from tests.fuzz.test_readers import PIECES, attempt, edited


def broken(rng: random.Random, seed: bytes) -> bytes:
    """A whole file with up to eight edits."""
    changes = [
        (
            rng.random(),
            rng.choice((0, 0, 1, 2, 8, 40)),
            rng.choice(PIECES) if rng.random() < 0.6 else rng.randbytes(rng.randrange(1, 5)),
        )
        for _ in range(rng.randrange(1, 9))
    ]
    return edited(seed, changes)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of CPU, over all readers")
    parser.add_argument("--reader", help="only this one")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        readers = stored(folder)
        if options.reader:
            readers = {options.reader: readers[options.reader]}
        counts = dict.fromkeys(readers, 0)
        end = time.process_time() + 60 * options.minutes
        while time.process_time() < end:
            for reader, target in readers.items():
                for _ in range(50 if reader != "config" else 5):
                    data = broken(rng, target.seed)
                    try:
                        attempt(target, folder, data)
                    except Exception as error:
                        print(f"{reader}: {error!r}\n{data.hex()}", file=sys.stderr)
                        return 1
                    counts[reader] += 1
    print(", ".join(f"{reader} {count:,}" for reader, count in counts.items()), "files, no crash")
    return 0


if __name__ == "__main__":
    sys.exit(main())
