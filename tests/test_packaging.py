"""What is promised in pyproject.toml, README.md and .ci/run stays true."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

import gmbench

REPOSITORY = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
PACKAGES = ("gmbench", "models", "experiments")
SOURCES = sorted(file for package in PACKAGES for file in (REPOSITORY / package).rglob("*.py"))


def canonical(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def imports_at_start(file: Path) -> set[str]:
    """Top-level packages that a module imports when it is imported itself."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_every_import_is_a_declared_dependency() -> None:
    declared = {canonical(requirement) for requirement in PROJECT["dependencies"]}
    distributions = packages_distributions()
    ours = {*PACKAGES, *sys.stdlib_module_names, "pydantic_core"}  # the last: pinned by pydantic
    undeclared = {
        f"{file.relative_to(REPOSITORY)}: {module}"
        for file in SOURCES
        for module in imports_at_start(file) - ours
        if not {canonical(name) for name in distributions.get(module, [module])} & declared
    }
    assert not undeclared


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == gmbench.__version__
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changelog, flags=re.MULTILINE)
    assert newest is not None
    assert newest[1] == gmbench.__version__


def test_the_readmes_commands_are_those_that_are_checked() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert '\npip install -e ".[regions]" && python -m gmbench.run\n' in readme
    assert '`pip install -e ".[dev]" && pytest`' in readme
    checked = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert 'pip install -q -e ".[dev]"' in checked
    assert "-m gmbench.run data=synthetic_tiny trainer=debug" in checked


def test_the_levels_of_contributing_are_those_that_are_enforced() -> None:
    layers = PYPROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    page = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Levels\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| \d+ \| (.*) \|$", section, re.MULTILINE)
    listed = [set(re.findall(r"`([\w.]+)`", row)) for row in rows]
    assert listed == [set(re.findall(r"[\w.]+", layer)) for layer in reversed(layers)]


def test_every_folder_with_code_is_a_package() -> None:
    assert SOURCES
    for file in SOURCES:
        assert (file.parent / "__init__.py").is_file(), f"{file.parent} has no __init__.py"


def test_scoring_and_reporting_start_without_torch() -> None:
    modules = [
        ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)
        for file in SOURCES
        if {"scoring", "reporting"} & set(file.parts) and file.name != "metric.py"
    ]
    modules += ["gmbench.core.entities", "experiments.shortcuts.report"]
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.stdout == "False\n", done.stderr


def test_the_wheel_holds_code_configuration_and_weights(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling builds the wheel (extra dev)")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    expected = {str(file.relative_to(REPOSITORY)) for file in SOURCES}
    conf = sorted((REPOSITORY / "conf").rglob("*.yaml"))
    assert conf
    expected |= {f"gmbench/conf/{file.relative_to(REPOSITORY / 'conf')}" for file in conf}
    weights = list((REPOSITORY / "gmbench" / "nn" / "pretrained").glob("*.safetensors"))
    assert weights
    expected |= {str(file.relative_to(REPOSITORY)) for file in weights}
    expected.add("hydra_plugins/gmbench_launcher.py")
    assert expected <= inside, sorted(expected - inside)
    assert {"gmbench/py.typed", "models/py.typed"} <= inside
    outside = ("tests/", "conf/", ".ci/", "experiments/results/")
    assert not [name for name in inside if name.startswith(outside)]


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", ".github/workflows/*.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
        ("citation-file-format", "CITATION.cff"),
    ],
)
def test_hosted_files_keep_to_their_schema(schema: str, files: str) -> None:
    pytest.importorskip("check_jsonschema", reason="the schemas come with the extra dev")
    named = sorted(REPOSITORY.glob(files))
    assert named
    command = ["-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, named)]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_pythons_promised_are_those_that_are_tested() -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/tests.yml").read_text("utf-8"))
    tested = workflow["jobs"]["pytest"]["strategy"]["matrix"]["python"]
    said = [name.rsplit(" ", 1)[1] for name in PROJECT["classifiers"] if ":: 3." in name]
    assert said == tested
    assert PROJECT["requires-python"] == f">={tested[0]}"


def test_every_folder_of_the_container_is_sent_to_its_builder() -> None:
    docker = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    lines = re.findall(r"^COPY (.+) \S+$", docker, re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    sent = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8")
    allowed = {line[1:].partition("/")[0] for line in sent.splitlines() if line.startswith("!")}
    assert copied == allowed
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert {*packages, "README.md", "LICENSE", "pyproject.toml"} <= copied
