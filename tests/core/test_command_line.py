import signal

import pytest

from gmbench.core.command_line import CommandLine, Stopped, stopped_by


@pytest.fixture
def parser():
    made = CommandLine("gmbench verb", "What it does.\n\n  an example\n")
    made.add_argument("file")
    made.add_argument("--image")
    made.add_argument("--kind", choices=("full", "score"))
    made.add_argument("--number", type=int)
    return made


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["a", "--imge", "b"], "no option --imge; did you mean --image?"),
        (["a", "--imge=b"], "no option --imge=b; did you mean --image?"),
        (["a", "--im", "b"], "no option --im"),
        (["a", "b"], "no option b"),
        (["a", "--kind", "scroe"], "--kind: invalid choice: 'scroe'; did you mean score?"),
        (["a", "--kind", "x"], "--kind: invalid choice: 'x'; choices: full, score"),
        (["a", "--number", "many"], "argument --number: invalid int value: 'many'"),
        ([], "the following arguments are required: file"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_nearest_name(arguments, line, parser, capsys):
    with pytest.raises(SystemExit) as end:
        parser.parse_args(arguments)
    assert end.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (told,) = captured.err.splitlines()
    assert told.startswith(f"gmbench verb: {line}")


def test_help_keeps_the_examples_lines(parser, capsys):
    with pytest.raises(SystemExit) as end:
        parser.parse_args(["--help"])
    assert end.value.code == 0
    assert "\n  an example\n" in capsys.readouterr().out


def test_errors_that_name_each_other_as_their_cause_are_searched_once() -> None:
    first, second = OSError("first"), ValueError("second")
    first.__context__, second.__context__ = second, first
    assert stopped_by(first) is None
    second.__cause__ = Stopped(signal.SIGTERM)
    assert stopped_by(first) is second.__cause__
