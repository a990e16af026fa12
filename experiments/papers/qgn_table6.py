"""QGN, Table VI: from which layers HVLA takes the text, and into which it brings it."""

import sys

from experiments.engine import Experiment, main
from experiments.engine.plan import rows_of

EXPERIMENT = Experiment(
    name="qgn_table6",
    title="QGN, Table VI: layers of extraction and injection",
    base=("model=qgn",),
    real=("+experiment=qgn_paper",),
    reference="full",
    rows=rows_of(
        "qgn_table6",
        {
            "full": "",
            "extract_1_1": "model.network.hvla.text_stride=1",
            "extract_2_1": "model.network.hvla.text_stride=2",
            "extract_3_2": "model.network.hvla.text_start=2",
            "extract_3_3": "model.network.hvla.text_start=3",
            "inject_1_2": "model.network.hvla.vision_stride=1",
            "inject_2_2": "model.network.hvla.vision_stride=2",
            "inject_3_1": "model.network.hvla.vision_start=1",
            "inject_3_3": "model.network.hvla.vision_start=3",
        },
    ),
    note="Encoders of other depths than 12 get the same places in proportion.",
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
