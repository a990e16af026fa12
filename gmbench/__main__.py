"""``gmbench VERB ...`` is ``python -m gmbench.VERB ...``."""

import runpy
import sys

from gmbench.core.command_line import exit_code
from gmbench.core.completion import SCRIPTS, completions
from gmbench.core.errors import did_you_mean

VERBS = {
    "run": "train, test and report one configuration or a grid",
    "prepare": "check a data set: what is missing, counts, leakage, fingerprint",
    "score": "score anybody's predictions; check a stored result; compare two runs",
    "report": "leaderboard of finished runs",
    "predict": "entities of your own sentences and pictures",
    "export": "a finished run's model as a folder that anybody can load",
}

ELSEWHERE = {
    **dict.fromkeys(("train", "fit"), "gmbench run trains, chooses on dev and tests once"),
    **dict.fromkeys(
        ("eval", "evaluate", "test"),
        "gmbench run mode=test ckpt=RUN/checkpoints/best.ckpt scores a checkpoint, "
        "gmbench score GOLD PRED scores predictions",
    ),
}
"""What other programs call a verb, and what does it here."""

EXAMPLES = """\
examples:
  gmbench run                                        train on the built-in world (minutes)
  gmbench run model=qgn data=synthetic_tiny trainer=debug
  gmbench prepare data=twitter_gmner data.root=FOLDER
  gmbench report runs --html site
  gmbench export runs/default/mqspn/synthetic/seed=1 mqspn
  gmbench predict mqspn --image I.jpg --text "a sentence about it"
  gmbench score GOLD.jsonl PRED.jsonl
  eval "$(gmbench --completion bash)"                Tab completes verbs and keys; zsh, fish too

exit codes of every verb:
  0    done
  1    a failure in the work itself (run: failure.json holds it; prepare: a run would not start)
  2    bad command line, configuration or input; a line on standard error says what to do
  3    run: a loss or gradient that is not finite
  128 + n  ended by signal n: 130 by Ctrl-C, 143 by SIGTERM
"""


def main() -> int:
    """Start the verb; exit codes are the verb's own, 2 for one that does not exist."""
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in ("-h", "--help", "help"):
        return exit_code(_print_help)
    if verb == "--version":
        from gmbench import __version__

        print(f"gmbench {__version__}")
        return 0
    if verb == "--completion":
        shell = sys.argv[2] if len(sys.argv) > 2 else "bash"
        if shell not in SCRIPTS:
            hint = did_you_mean(shell, SCRIPTS) or f"; shells: {', '.join(SCRIPTS)}"
            print(f"gmbench: no completion for {shell!r}{hint}", file=sys.stderr)
            return 2
        print(SCRIPTS[shell])
        return 0
    if verb == "--complete":
        print("\n".join(completions(sys.argv[2], VERBS)))
        return 0
    if verb not in VERBS:
        told = ELSEWHERE.get(verb, f"verbs: {', '.join(VERBS)}")
        hint = did_you_mean(verb, VERBS) or f"; {told}"
        print(f"gmbench: no verb {verb!r}{hint}", file=sys.stderr)
        return 2
    sys.argv = [f"gmbench {verb}", *sys.argv[2:]]
    runpy.run_module(f"gmbench.{verb}", run_name="__main__", alter_sys=True)
    return 0


def _print_help() -> int:
    verbs = "\n".join(f"  {name:<10}{summary}" for name, summary in VERBS.items())
    print(f"gmbench VERB ...   (each verb has its own --help)\n\n{verbs}\n\n{EXAMPLES}", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
