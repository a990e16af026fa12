"""Every experiment small: launched, built, looked into (minutes; nightly)."""

import os
import subprocess
import sys

import pytest

from experiments.engine.plan import SMOKE
from tests.conftest import REPOSITORY
from tests.experiments.test_engine import MODULES, experiment_of


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    return tmp_path_factory.mktemp("user")


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", [m for m in MODULES if any(row.fits(SMOKE) for row in experiment_of(m).rows)]
)
def test_smoke(module, user):
    done = subprocess.run(
        [sys.executable, "-m", module, "--preset", "smoke", "--launch", "--build"],
        cwd=user,
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "GMBENCH_DATA": str(user / "data"),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    name = experiment_of(module).name
    text = (user / "experiments" / "results" / f"{name}_smoke.md").read_text()
    assert "*not run*" not in text
    for row in experiment_of(module).rows:
        assert row.label in text or not row.fits(SMOKE)
    for suffix in ("csv", "png"):
        assert (user / "experiments" / "results" / f"{name}_smoke.{suffix}").stat().st_size > 100
