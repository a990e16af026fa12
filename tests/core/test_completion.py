"""What the shell offers: verbs, groups, choices, keys and options, in well under a second."""

import importlib
import os
import shutil
import subprocess
import sys
import time

import pytest

from gmbench.__main__ import VERBS, main
from gmbench.core.completion import SCRIPT, completions


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


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("line", "words"),
    [("gmbench exp", "export"), ("gmbench run model=q", "qgn"), ("gmbench run trainer.epo", None)],
)
def test_bash_gets_what_it_has_to_insert(line, words, tmp_path):
    command = tmp_path / "gmbench"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m gmbench "$@"\n')
    command.chmod(0o755)
    asked = f"{SCRIPT}\nCOMP_LINE='{line}'; COMP_POINT={len(line)}; compopt() {{ :; }}\n"
    done = subprocess.run(
        ["bash", "-c", f'{asked}_gmbench; printf "%s" "${{COMPREPLY[@]}}"'],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == (words or "trainer.epochs=")
    assert done.stderr == ""
