"""QGN, Table II: GMNER F1 by entity type on Twitter-FMNERG."""

import sys

from experiments.engine import main
from experiments.engine.type_columns import types_experiment

EXPERIMENT = types_experiment("qgn_table2", "QGN, Table II: by entity type", ("mqspn", "qgn"))

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
