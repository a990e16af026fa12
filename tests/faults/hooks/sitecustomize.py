"""Python imports this when it starts with this folder on PYTHONPATH: faults in a real command."""

import os

from tests.faults.plan import VARIABLE, install

install(os.environ[VARIABLE])
