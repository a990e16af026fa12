"""Make the step once more that ended a run in a number that is not finite.

Rebuilds the model and the batch from the run folder and its dump (RUN/nonfinite), and says what
came out then and now.

  python -m gmbench.lifecycle.replay runs/default/mqspn/synthetic/seed=1

Exit codes: 0 the same came out, 1 something else did, 2 there is nothing to replay.
"""

import sys
from pathlib import Path

from gmbench.core.command_line import CommandLine


def main() -> int:
    """Run the verb with the command line's arguments."""
    parser = CommandLine("python -m gmbench.lifecycle.replay", __doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run that failed")
    folder: Path = parser.parse_args().run
    for needed in (folder / "config.yaml", folder / "nonfinite" / "step.json"):
        if not needed.is_file():
            print(f"{needed}: not there; only a run that ended in NaN leaves it", file=sys.stderr)
            return 2
    from lightning import seed_everything
    from omegaconf import DictConfig, OmegaConf

    from gmbench.lifecycle.build import build_run
    from gmbench.training.replay import replay
    from gmbench.training.step import FOLDER, read_dump

    cfg = OmegaConf.load(folder / "config.yaml")
    assert isinstance(cfg, DictConfig)
    dump = read_dump(folder / FOLDER)
    seed_everything(cfg.seed, verbose=False)
    run = build_run(cfg)
    then, now = dump.record, replay(run.module, run.data.batch("train", dump.record.ids), dump)
    print(f"step {then.step}, epoch {then.epoch}, {len(then.ids)} examples from {then.ids[0]}")
    for name in ("message", "loss", *then.parts):
        old = then.parts.get(name, getattr(then, name, None))
        new = now.parts.get(name, getattr(now, name, None))
        print(f"{name}: {old}" if old == new else f"{name}: {old} then, {new} now")
    alike = (then.message, then.loss, then.parts) == (now.message, now.loss, now.parts)
    return 0 if alike else 1


if __name__ == "__main__":
    sys.exit(main())
