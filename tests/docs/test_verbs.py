"""Every verb: --help with an example and its exit codes, and a typo that names the near match."""

import re

import pytest

from gmbench.__main__ import EXAMPLES, VERBS

TYPOS = {  # verb: what is mistyped, what is meant
    "run": (["trainer.epoch=3"], "trainer.epochs"),
    "predict": (["DIR", "--imge", "I.jpg"], "--image"),
    "score": (["--verifi", "RUN"], "--verify"),
    "report": (["runs", "--htlm", "site"], "--html"),
    "prepare": (["data=synthetik"], "data=synthetic"),
    "export": (["RUN", "DIR", "--trusted", "a."], "--trust"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example_and_the_exit_codes(verb, door):
    done = door.run(f"gmbench.{verb}", "--help")
    assert done.code == 0, done.output
    assert f"python -m gmbench.{verb}" in done.output
    assert re.search(rf"^ +python -m gmbench\.{verb} *\S+", done.output, re.MULTILINE)
    assert re.search(r"exit codes?:", done.output, re.IGNORECASE)


@pytest.mark.parametrize("verb", VERBS)
def test_a_typo_names_the_near_match_in_few_lines(verb, door):
    arguments, meant = TYPOS[verb]
    done = door.run("gmbench", verb, *arguments)  # the script: help is asked of the module
    assert done.code == 2, done.output
    assert meant in done.output
    assert "Traceback" not in done.output
    assert len(done.output.splitlines()) <= 2


def test_a_mistyped_option_of_prepare_is_told_too(door):
    done = door.run("gmbench.prepare", "--config-dri", "x")
    assert done.code == 2
    assert "did you mean --config-dir?" in done.output


def test_the_script_lists_every_verb_and_code(door):
    done = door.run("gmbench", "--help")
    assert done.code == 0
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", done.output, re.MULTILINE)
    for code in ("0", "1", "2", "3", r"128 \+ n"):
        assert re.search(rf"^  {code} ", EXAMPLES, re.MULTILINE)
