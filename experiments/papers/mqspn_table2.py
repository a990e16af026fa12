"""MQSPN, Table 2: GMNER F1 by entity type on Twitter-FMNERG."""

import sys

from experiments.engine import main
from experiments.engine.type_columns import types_experiment

EXPERIMENT = types_experiment("mqspn_table2", "MQSPN, Table 2: by entity type", ("mqspn",))

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
