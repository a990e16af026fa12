"""Hashes of configurations, the state of the code, versions, credentials."""

import logging
import os
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from gmbench.core.provenance import (
    GitState,
    RedactingFormatter,
    config_sha,
    git_state,
    is_secret,
    library_versions,
    redact,
)

CONFIG = {"seed": 1, "model": {"width": 256, "names": ["a", "b"]}, "run": {"dir": "x", "bar": True}}


def test_the_hash_ignores_order_and_volatile_keys_only() -> None:
    sha = config_sha(CONFIG, volatile=("run.dir",))
    assert len(sha) == 64
    again = {**dict(reversed(CONFIG.items())), "run": {"bar": True, "dir": "elsewhere"}}
    assert config_sha(again, volatile=("run.dir", "absent.key")) == sha
    for changed in (
        {**CONFIG, "seed": 2},
        {**CONFIG, "run": {"dir": "x", "bar": False}},
        {**CONFIG, "model": {"width": 256, "names": ["b", "a"]}},
    ):
        assert config_sha(changed, volatile=("run.dir",)) != sha
    assert config_sha(CONFIG, volatile=("run",)) == config_sha(
        {k: v for k, v in CONFIG.items() if k != "run"}
    )


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_only_plain_finite_values_are_hashed(value: object) -> None:
    with pytest.raises(ValueError, match="only plain, finite values"):
        config_sha({"a": value})


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("1\n")
    (tmp_path / "code" / "lib").mkdir()
    (tmp_path / "code" / "lib" / "b.py").write_text("2\n")
    (tmp_path / "code" / ".gitignore").write_text("lib/\n")
    git(tmp_path / "code", "init", "-q")
    git(tmp_path / "code", "remote", "add", "origin", "https://me:canary@example.org/x.git")
    git(tmp_path / "code", "add", ".")
    git(tmp_path / "code", "commit", "-qm", "first")
    return tmp_path / "code"


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


def test_the_commit_and_whether_something_is_not_in_it(repository: Path) -> None:
    clean = git_state(repository)
    assert clean.commit is not None
    assert len(clean.commit) == 40
    assert clean.dirty is False
    assert "canary" not in repr(clean)
    (repository / "new.py").write_text("3\n")
    assert git_state(repository) == GitState(commit=clean.commit, dirty=True)


def test_asking_for_the_state_takes_no_lock(repository: Path) -> None:
    """Git would rewrite its index here: killed meanwhile, it leaves ``index.lock``."""
    index = repository / ".git" / "index"
    tracked = next(path for path in repository.rglob("*.py") if ".git" not in path.parts)
    os.utime(tracked, (1, 1))  # the content is as before
    before = index.read_bytes()
    assert git_state(repository).dirty is False
    assert index.read_bytes() == before
    git(repository, "status", "--porcelain")
    assert index.read_bytes() != before


def test_an_installed_package_in_somebodys_repository_is_not_theirs(repository: Path) -> None:
    assert git_state(repository / "lib") == GitState(commit=None, dirty=None)


def test_no_repository_no_git_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = GitState(commit=None, dirty=None)
    assert git_state(tmp_path) == nothing
    assert git_state(tmp_path / "absent") == nothing
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) == nothing


def test_versions_are_those_installed() -> None:
    versions = library_versions(("numpy", "no-such-distribution"))
    assert set(versions) == {"numpy", "python"}
    assert versions["numpy"] == metadata.version("numpy")
    assert list(library_versions()) == sorted(library_versions())


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ("password: hunter2 rest", "password: *** rest"),
        ("logger.token=abc,seed=1", "logger.token=***,seed=1"),
        ("wandb.secret=abc", "wandb.secret=***"),
        ("cls_token=7", "cls_token=7"),
        ("keyboard=1", "keyboard=1"),
        ("see http://u:p@h/x and http://h/y", "see http://***@h/x and http://h/y"),
        ({"api_key": "abc", "n": 3, "deep": [{"passwd": "x"}]}, None),
        (None, None),
    ],
)
def test_credentials_are_hidden(value: object, hidden: object) -> None:
    if isinstance(value, dict):
        hidden = {"api_key": "***", "n": 3, "deep": [{"passwd": "***"}]}
    assert redact(value) == hidden


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("WANDB_API_KEY", True),
        ("logger.hub_token", True),
        ("db.password", True),
        ("model.decode.cls_token", False),
        ("max_tokens", False),
        ("full_key", False),
        ("cls_token_secret", True),
        ("monkey", False),
    ],
)
def test_which_names_are_secrets(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


def test_a_log_line_and_its_traceback_lose_their_credentials(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "canary-canary")
    try:
        raise ValueError("canary-canary from http://me:secret@h/x")
    except ValueError:
        logging.getLogger("gmbench.test").exception("it said %s \x1b[2J", "canary-canary")
    (record,) = caplog.records
    text = RedactingFormatter("%(levelname)s %(message)s").format(record)
    assert text.startswith("ERROR it said *** \\x1b[2J\nTraceback")
    assert "ValueError: *** from http://***@h/x" in text
    assert "canary" not in text
