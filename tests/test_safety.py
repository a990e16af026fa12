"""What no line of the product may do: unpickle, run text as code, accept half an image."""

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import REPOSITORY

FOLDERS = ("gmbench", "models", "experiments", "hydra_plugins")
UNPICKLERS = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
FORBIDDEN = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "os.system": "gives text to a shell",
    "yaml.load": "needs an explicit safe loader",
    "yaml.unsafe_load": "builds any object",
    "tarfile.open": "extracts archives",
    "shutil.unpack_archive": "extracts archives",
}
WANTED = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}
NEVER = {("weights_only", False), ("allow_pickle", True), ("shell", True)}
SAFE_LOADERS = {"SafeLoader", "CSafeLoader"}


def faults(source: str) -> Iterator[str]:
    """What is forbidden in a module, a line each."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            if [alias.name for alias in node.names] == ["UnpicklingError"]:
                continue  # what a refusal to unpickle raises
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            for name in {name.partition(".")[0] for name in names} & UNPICKLERS:
                yield f"{node.lineno}: imports {name}"
        elif isinstance(node, ast.Call):
            yield from _call(node)
        elif isinstance(node, ast.Assign) and any(
            ast.unparse(target).endswith("LOAD_TRUNCATED_IMAGES") for target in node.targets
        ):
            yield f"{node.lineno}: accepts half an image"


def _call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    if name.rpartition(".")[2] in ("extract", "extractall"):
        yield f"{node.lineno}: {name} trusts what an archive says"
    given = {
        (key.arg, key.value.value)
        for key in node.keywords
        if isinstance(key.value, ast.Constant) and key.arg is not None
    }
    for pair in given & NEVER:
        yield f"{node.lineno}: {pair[0]}={pair[1]}"
    if name in WANTED and WANTED[name] not in given:
        yield f"{node.lineno}: {name} without {WANTED[name][0]}={WANTED[name][1]}"
    safe = any(ast.unparse(key.value).rpartition(".")[2] in SAFE_LOADERS for key in node.keywords)
    if name in FORBIDDEN and not (name == "yaml.load" and safe):
        yield f"{node.lineno}: {name} {FORBIDDEN[name]}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_forbidden(folder: str, promise) -> None:
    modules = sorted((REPOSITORY / folder).rglob("*.py"))
    assert modules
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}"
        for path in modules
        for line in faults(path.read_text())
    ]
    assert found == []
    promise(
        "R10", "places that unpickle, run text or leave a safe default", len(found), of=len(modules)
    )


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("import pickle", 1),
        ("from dill import loads", 1),
        ("torch.load(path)", 1),
        ("torch.load(path, weights_only=False)", 2),
        ("torch.load(path, map_location='cpu', weights_only=True)", 0),
        ("np.load(path)", 1),
        ("np.load(path, allow_pickle=True)", 2),
        ("np.load(path, allow_pickle=False)", 0),
        ("yaml.load(text)", 1),
        ("yaml.load(text, Loader=yaml.CSafeLoader)", 0),
        ("eval(text)", 1),
        ("model.eval()", 0),
        ("subprocess.run(text, shell=True)", 1),
        ("ImageFile.LOAD_TRUNCATED_IMAGES = True", 1),
        ("tarfile.open(path)", 1),
        ("archive.extractall(folder)", 1),
    ],
)
def test_each_fault_is_found_and_nothing_else(line: str, count: int) -> None:
    assert len(list(faults(line))) == count
