"""Every command of README and docs is run, or checked as far as it goes with the reason here.

Run: in one folder that holds what the pages speak of (``RUN``, ``DIR``, ``I.jpg`` ...), as it
stands, with overrides for a small world and one epoch where it trains. All others stand in
``CHECKED``. A command that is in neither table fails.
"""

import argparse
import importlib.metadata
import itertools
import re
import runpy
import shutil
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
from hydra.core.config_store import ConfigStore

from gmbench.config import check, compose, conf_dir
from gmbench.config.compose import stored_settings
from gmbench.lifecycle.build_data import build_source
from gmbench.scoring.files import write_gold
from tests.conftest import REPOSITORY
from tests.docs.commands import PAGES, Command, commands, unmarked

SMALL = (
    "data=synthetic_tiny",
    "data.world.train=16",
    "data.world.dev=8",
    "data.world.test=8",
    "trainer=debug",
    "trainer.epochs=1",
    "callbacks.progress=false",
)
RUN = "runs/default/mqspn/synthetic/seed=1"
RUNS_SMALL = (  # trained or looked at for real, but small
    r"python -m gmbench\.run",
    r"python -m gmbench\.run mode=check",
    r"python -m gmbench\.run mode=test ckpt=RUN/checkpoints/best\.ckpt",
    r"python -m gmbench\.run --config-dir own_conf data=own regions=grid",
)
RUNS_AS_IT_STANDS = (
    r"(/usr/bin/time -v )?python -m gmbench\.(export|predict|score)( .*)?",
    r"python -m gmbench\.prepare(?! data=(photos|synthetic|twitter201[57])\b)( .*)?",
    r"python -m gmbench\.report(?!.*--wandb)( .*)?",
    r"python -m experiments\.papers\.paper_tables( .*)?",
    r"python -m gmbench\.run --cfg job",
    r"cp -r .*",
    r"cd .*",
)


def composes(command: Command, home) -> None:
    """The configuration of each of its jobs is put together and passes every check."""
    arguments = command.words[command.words.index("-m") + 2 :]
    overrides = [re.sub("=(FOLDER|RUN)", rf"={home}/\1", word) for word in arguments if "=" in word]
    if "--config-dir" in arguments:  # the reader's own data, not there
        overrides.remove("data=own")
    if "-m" in arguments:
        parts = [(key, value.split(",")) for key, _, value in (w.partition("=") for w in overrides)]
    else:
        parts = [(key, [value]) for key, _, value in (w.partition("=") for w in overrides)]
    jobs = list(itertools.product(*([f"{key}={value}" for value in many] for key, many in parts)))
    for job in {jobs[0], jobs[-1]}:
        passes(job)


@cache
def passes(job: tuple[str, ...]) -> None:
    """Grids of several pages begin with the same job, which is looked at once."""
    check(compose(list(job)))


class Parsed(Exception):
    """The command line was understood."""


def parses(command: Command, home) -> None:
    """Its module takes these arguments; it is stopped before it does anything."""
    words = command.words
    module = words[words.index("-m") + 1]
    arguments = words[words.index("-m") + 2 :]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [module, *arguments])
        for name in ("parse_args", "parse_intermixed_args"):
            patch.setattr(argparse.ArgumentParser, name, _stopping(name))
        with pytest.raises(Parsed):
            runpy.run_module(module, run_name="__main__")


def _stopping(name: str) -> Callable[..., None]:
    original = getattr(argparse.ArgumentParser, name)

    def parse(self, *arguments, **named) -> None:
        original(self, *arguments, **named)
        raise Parsed

    return parse


def names_extras(command: Command, home) -> None:
    """The extras it installs are those of pyproject.toml."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"\[(.+?)\]", command.text):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


def names_tests(command: Command, home) -> None:
    """Its marker and its paths are there."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["pytest"]
    known = {marker.partition(":")[0] for marker in settings["ini_options"]["markers"]}
    words = command.words[1:]
    for before, word in itertools.pairwise(["", *words]):
        if before == "-m":
            assert word in known
        elif not word.startswith("-"):
            assert (REPOSITORY / word).exists()


def is_a_tool(command: Command, home) -> None:
    """It is a dependency, or a file of the repository."""
    name = command.words[0]
    text = (REPOSITORY / "pyproject.toml").read_text()
    assert (REPOSITORY / name).exists() or {"lint-imports": "import-linter"}.get(name, name) in text


def is_a_script(command: Command, home) -> None:
    """The program is installed by a dependency; files that it is given are there."""
    known = {entry.name for entry in importlib.metadata.entry_points(group="console_scripts")}
    assert command.words[0] in known
    for word in command.words:
        if word.endswith(".yaml"):
            assert (REPOSITORY / word).is_file()


def is_known_to_hydra(command: Command, home) -> None:
    """Launcher or sweeper is a file of conf/ or comes with the plugin of an extra."""
    (group, name) = re.search(r"hydra/(launcher|sweeper)=(\w+)", command.text).groups()
    if not (conf_dir() / "hydra" / group / f"{name}.yaml").is_file():
        plugin = f"hydra_plugins.hydra_{name.partition('_')[0]}_launcher.config"
        pytest.importorskip(plugin, reason="needs the extra sweep")
        assert f"{name}.yaml" in ConfigStore.instance().list(f"hydra/{group}")


def is_a_module(command: Command, home) -> None:
    """Its module is a file of the repository."""
    words = command.words
    name = words[words.index("-m") + 1]
    path = REPOSITORY / name.replace(".", "/")
    assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def is_a_pattern(command: Command, home) -> None:
    """It stands for many commands and is none, or another test runs it."""


@dataclass(frozen=True)
class Checked:
    """Why commands of this form are not run, and what is checked of them instead."""

    form: str
    reason: str
    by: Callable[[Command, object], None]


CHECKED = (
    Checked(
        r".*\b(VERB|NAME)\b.*|gmbench \w+|python -m gmbench\.\w+",
        "a name, no command",
        is_a_pattern,
    ),
    Checked(
        r"python -m gmbench\.run --config-dir my_conf model=wordwise",
        "minutes: tests/docs/test_examples.py runs it small",
        is_a_pattern,
    ),
    Checked(r".* model=mine\b.*", "any model of the reader's; model=wordwise is run", is_a_pattern),
    Checked(
        r"(pip|apt-get) install .*",
        "installs; .ci/run makes its environment like this",
        names_extras,
    ),
    Checked(r"(python -m )?pytest\b.*", "these are the tests", names_tests),
    Checked(r"(pre-commit|ruff|mypy|lint-imports|\.ci/run)\b.*", "a step of .ci/run", is_a_tool),
    Checked(r"(hf|wandb|tensorboard) .*", "an account, the network, a browser", is_a_script),
    Checked(
        r".*hydra/(launcher|sweeper)=.*",
        "needs an extra: tests/grid, tests/slurm",
        is_known_to_hydra,
    ),
    Checked(
        r"(\w+=\S+ |srun (--\S+ )*)*python -m gmbench\.run .*",
        "minutes, hours, the real data or a cluster",
        composes,
    ),
    Checked(
        r"python -m gmbench\.prepare data=(photos|synthetic|twitter201[57]).*",
        "data of the reader's, or a minute: tests/data",
        composes,
    ),
    Checked(
        r'eval "\$\(gmbench --completion \w+\)"|gmbench --completion fish \| source'
        r"|gmbench run (model=<TAB>|--epochs 3)",
        "typed into a shell, or refused with a hint: tests/core/test_completion.py, tests/config",
        is_a_pattern,
    ),
    Checked(r"git clone .*", "needs the network", is_a_pattern),
    Checked(r".*--wandb.*", "a run on W&B: tests/reporting/test_wandb_board.py", parses),
    Checked(r"python -m tests\.speed.*", "minutes: tests/speed", parses),
    Checked(
        r"python -m experiments\.pretrain_tiny.*",
        "minutes: tests/experiments/test_pretrain_tiny.py",
        parses,
    ),
    Checked(
        r"python -m experiments\.readme.*", "writes pages: tests/experiments/test_readme.py", parses
    ),
    Checked(r"python -m experiments\..*", "hours: tests/experiments/test_smoke.py", parses),
    Checked(r"(\w+=\S+ )*python -m tests\..*", "minutes, or an extra: its tests", is_a_module),
)
ALL = list(dict.fromkeys(command for page in PAGES for command in commands(page)))


def matches(forms, text: str) -> bool:
    return any(re.fullmatch(form, text) for form in forms)


def is_run(command: Command) -> bool:
    """Names alone, in running text, are not."""
    if not command.fenced and re.fullmatch(CHECKED[0].form, command.text):
        return False
    return matches((*RUNS_SMALL, *RUNS_AS_IT_STANDS), command.text)


def test_commands_are_found_and_each_is_in_a_table():
    assert len(ALL) > 80
    forms = [checked.form for checked in CHECKED]
    for command in ALL:
        told = f"{command.page}: {command.text!r} is neither run nor checked: see {__file__}"
        assert is_run(command) or matches(forms, command.text), told


def test_every_row_of_the_table_is_needed():
    rest = [command.text for command in ALL if not is_run(command)]
    for checked in CHECKED:
        assert any(re.fullmatch(checked.form, text) for text in rest), checked.form
    for form in (*RUNS_SMALL, *RUNS_AS_IT_STANDS):
        assert any(re.fullmatch(form, command.text) for command in ALL), form


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_commands_stand_in_blocks_that_are_tested(page):
    assert unmarked(page) == []


@pytest.fixture(scope="module")
def reader(door):
    """A folder in which all that the pages speak of is really there."""
    home = door.home
    done = door.run("gmbench.run", *SMALL, f"hydra.run.dir='{RUN}'")
    assert done.code == 0, done.output
    (world,) = (home / "data" / "synthetic").glob("world-*")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        gold = build_source(stored_settings(home / RUN / "config.yaml")).read("test").examples
    write_gold(home / "GOLD.jsonl", gold)
    shutil.copy(home / RUN / "predictions.test.jsonl", home / "PRED.jsonl")
    shutil.copy(home / gold[0].image, home / "I.jpg")
    (home / "FOLDER").symlink_to(world)
    (home / "vinvl").symlink_to(world / "vinvl")
    for name in ("RUN", "RUN_A", "RUN_B"):
        (home / name).symlink_to(home / RUN)
    (home / "RUNS").symlink_to(home / "runs")
    (home / "posts.jsonl").write_text('{"id": "1", "text": "Ann Lee at home", "image": "I.jpg"}\n')
    empty = "".join(f'{{"id": "{example.id}", "entities": []}}\n' for example in gold)
    (home / "hindex.jsonl").write_text(empty)
    (home / "riveg.txt").write_text("")
    page = (REPOSITORY / "docs" / "audit.md").read_text()
    (home / "TABLE.csv").write_text(page.split("```csv\n")[1].split("```")[0])
    for name in ("examples", "README.md", "docs"):
        (home / name).symlink_to(REPOSITORY / name)
    done = door.run("gmbench.export", RUN, "DIR")
    assert done.code == 0, done.output
    return door


def prepares(line: str) -> bool:
    """Whether a line of a page matters to those after it: the clone's folder is home anyway."""
    return line.startswith(("cp ", "cd ")) and line != "cd gmbench"


RUN_HERE = list(
    dict.fromkeys(
        (c.text.removeprefix("/usr/bin/time -v "), tuple(filter(prepares, c.after)))
        for c in ALL
        if is_run(c)
    )
)
"""Each command once, however many pages show it."""


@pytest.mark.parametrize(("text", "after"), RUN_HERE, ids=[text for text, _ in RUN_HERE])
def test_it_runs(text, after, reader, tmp_path):
    words = Command("", text).words
    if words[0] in ("cp", "cd"):
        return  # made before the command that needs it, below
    folder = reader.home
    for line in after:
        folder = prepared(line, folder, reader.home, tmp_path)
    target = None
    if ">" in words:
        target = words[words.index(">") + 1]
        words = words[: words.index(">")]
    module, arguments = (words[2], words[3:]) if words[0] == "python" else ("gmbench", words[1:])
    if module == "gmbench.run" and "--cfg" not in arguments:
        arguments += [*SMALL[: 4 * ("data=own" not in arguments)], *SMALL[4:]]
        if text == "python -m gmbench.run":
            arguments += [f"hydra.run.dir='{RUN}'"]
    if module == "gmbench.export":
        shutil.rmtree(folder / arguments[1], ignore_errors=True)
    done = reader.run(module, *arguments, folder=folder)
    assert done.code == 0, done.output
    if target is not None:
        assert done.output
    for option in ("--out", "--html"):
        if option in arguments:
            made = folder / arguments[arguments.index(option) + 1]
            assert made.is_file() or (made / "index.html").is_file()


def prepared(line: str, folder, home, tmp_path):
    """Do what a page says before a command: copy a folder, change into it; where one is then."""
    words = Command("", line.replace("~", str(tmp_path))).words
    if words[:2] == ["cp", "-r"]:
        target = folder / words[3]
        if not target.exists():
            shutil.copytree(home / words[2], target)
    elif words[0] == "cd":
        return folder / words[1]
    return folder


CHECKED_HERE = {c.text: c for c in ALL if not is_run(c)}


@pytest.mark.parametrize("command", CHECKED_HERE.values(), ids=CHECKED_HERE)
def test_it_would_run(command, reader):
    checked = next(c for c in CHECKED if re.fullmatch(c.form, command.text))
    checked.by(command, reader.home)
