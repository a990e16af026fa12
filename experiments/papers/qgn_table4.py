"""QGN, Table IV: the losses, and the floors of an untrained no-target head."""

import sys

from experiments.engine import Experiment, main
from experiments.engine.plan import rows_of

NO_TARGET, CONSISTENCY = (
    f"model.loss.terms.{term}.weight=0" for term in ("no_target", "consistency")
)
NEVER, ALWAYS = (f"model.decode.no_target_threshold={value}" for value in ("0", "1.1"))

EXPERIMENT = Experiment(
    name="qgn_table4",
    title="QGN, Table IV: ablation of the losses",
    base=("model=qgn",),
    real=("+experiment=qgn_paper",),
    reference="full",
    rows=rows_of(
        "qgn_table4",
        {
            "pred": f"{NO_TARGET} {CONSISTENCY}",
            "pred_nt": CONSISTENCY,
            "pred_con": NO_TARGET,
            "full": "",
        },
        extra={
            "pred_never": (
                "prediction, never a box (ours)",
                f"{NO_TARGET} {CONSISTENCY} {NEVER}",
            ),
            "pred_always": (
                "prediction, always a box (ours)",
                f"{NO_TARGET} {CONSISTENCY} {ALWAYS}",
            ),
        },
        weights_of={"pred_never": "pred", "pred_always": "pred"},
    ),
    note=(
        "Without the no-target loss its head is hardly trained. The two rows of ours show what "
        "such a model reaches when it never, or always, gives a box: the weights of the first row, "
        "chosen on dev by its own rule, tested with another threshold."
    ),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
