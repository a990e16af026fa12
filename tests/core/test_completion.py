"""What the shell offers: verbs, groups, choices, keys and options, in well under a second."""

import importlib
import os
import shutil
import subprocess
import sys
import time

import pytest

from gmbench.__main__ import VERBS, main
from gmbench.core.completion import SCRIPTS, completions


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("gmbench pre", {"predict", "prepare"}),
        ("gmbench run model=m", {"model=mqspn", "model=mner_qg"}),
        ("gmbench run -m model=qgn trainer=de", {"trainer=debug", "trainer=default"}),
        ("gmbench run trainer.epo", {"trainer.epochs="}),
        ("gmbench run callbacks.pro", {"callbacks.progress=true", "callbacks.progress=false"}),
        ("gmbench run see", {"seed="}),
        ("gmbench run +experiment=q", {"+experiment=qgn_paper"}),
        ("gmbench prepare data=twitter_g", {"data=twitter_gmner"}),
        ("gmbench export --tr", {"--trust"}),
        ("gmbench nothing model=", set()),
    ],
)
def test_the_last_word_is_continued(line, offered):
    assert set(completions(line, VERBS)) == offered


@pytest.mark.parametrize("verb", ["score", "report", "predict", "export"])
def test_every_option_of_a_verb_is_offered(verb):
    parser = importlib.import_module(f"gmbench.{verb}")._parser()
    known = {name for action in parser._actions for name in action.option_strings}
    assert set(completions(f"gmbench {verb} --", VERBS)) == {n for n in known if n[:2] == "--"}


def test_it_answers_in_under_a_second_and_without_torch_or_hydra(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gmbench", "--complete", "gmbench run model.network.num_q"])
    began = time.process_time()
    assert main() == 0
    assert time.process_time() - began < 0.5
    assert capsys.readouterr().out == "model.network.num_queries=\n"


ASKED = {
    "bash": "{script}\nCOMP_LINE='{line}' COMP_POINT={size}\ncompopt() {{ :; }}\n_gmbench\n"
    'printf "%s" "${{COMPREPLY[@]}}"',
    # Outside an editor: completion's builtins are replaced by what they would be given.
    "zsh": "compdef() {{ }}\n{script}\ncompadd() {{ print -rn -- ${{@:#(-S|--|)}} }}\n"
    "compset() {{ }}\n_files() {{ print -rn files }}\n"
    "local words=({line}) CURRENT=${{#${{(z)${{:-{line}}}}}}} PREFIX={word}\n_gmbench",
    "fish": "{script}\ncomplete -C '{line}' | string join ' ' | tr -d '\\n'",
}


@pytest.mark.parametrize("shell", SCRIPTS)
@pytest.mark.parametrize(
    ("line", "inserted"),
    [
        ("gmbench run model=q", "model=qgn"),
        ("gmbench run seed=1 trainer.epo", "trainer.epochs="),
        ("gmbench run ckpt=best.c", "ckpt=best.ckpt"),
    ],
)
def test_the_shell_gets_what_it_has_to_insert(shell, line, inserted, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    (tmp_path / "best.ckpt").touch()
    command = tmp_path / "gmbench"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m gmbench "$@"\n')
    command.chmod(0o755)
    word = line.split()[-1]
    script = ASKED[shell].format(script=SCRIPTS[shell], line=line, size=len(line), word=word)
    done = subprocess.run(
        [shell, *(["-f"] if shell == "zsh" else []), "-c", script],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    if shell == "bash":  # it begins a new word behind "=", and completes files by itself
        inserted = "" if "ckpt" in line else inserted.removeprefix("model=")
    elif shell == "zsh" and "ckpt" in line:
        inserted = "files"
    assert done.stdout.strip() == inserted
    assert done.stderr == ""


def test_an_unknown_shell_is_answered_with_those_that_are_known(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gmbench", "--completion", "zhs"])
    assert main() == 2
    assert capsys.readouterr().err == "gmbench: no completion for 'zhs'; did you mean zsh?\n"
