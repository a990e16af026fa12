"""``gmbench VERB ...`` is ``python -m gmbench.VERB ...``."""

import runpy
import sys
from difflib import get_close_matches

VERBS = {
    "run": "train, test and report one configuration or a grid",
    "score": "score anybody's predictions; check a stored result",
    "report": "leaderboard of finished runs",
    "prepare": "check a data set: what is missing, counts, leakage, fingerprint",
    "bench": "speed and memory against floors measured in the same run",
    "pretrain": "pretrain the tiny encoders, or check the shipped weights",
}


def main() -> int:
    """Start the verb; exit codes are the verb's own, 2 for one that does not exist."""
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in ("-h", "--help"):
        print("gmbench VERB ...   (each verb has its own --help)\n")
        print("\n".join(f"  {name:<10}{what}" for name, what in VERBS.items()))
        return 0
    if verb not in VERBS:
        near = get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"verbs: {', '.join(VERBS)}"
        print(f"gmbench: no verb {verb!r}; {hint}", file=sys.stderr)
        return 2
    sys.argv = [f"gmbench {verb}", *sys.argv[2:]]
    runpy.run_module(f"gmbench.{verb}", run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
