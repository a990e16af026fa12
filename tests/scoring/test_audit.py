"""The audit of printed tables: against an exhaustive search, on honest tables, and with errors."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from gmbench.core.errors import InputError
from gmbench.scoring.audit import PREDICTED, audit, micro_range, read_table
from tests.scoring.audit_rates import (
    ERRORS,
    GOLD,
    difference_rate,
    honest,
    is_flagged,
    macro_rate,
    rate,
)

HEAD = "table,system,task,type,P,R,F1,n_gold,n_pred,digits,difference,than\n"


def flags_of(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    return [
        (flag.flag, str(flag.key), flag.than, flag.proof) for flag in audit(*read_table(path)).flags
    ]


def is_possible(lines, gold):
    """By definition: some counts of one list of predictions print exactly these figures."""
    unit = 10 ** len(lines["mner"][0].partition(".")[2])
    figures = {t: [round(float(f) * unit) for f in printed] for t, printed in lines.items()}

    def prints(task, tp, pred):  # |share - figure| <= half a unit, in whole numbers
        shares = ((tp, pred), (tp, gold), (2 * tp, pred + gold))
        return all(
            2 * abs(100 * unit * part - figure * of) <= of
            for (part, of), figure in zip(shares, figures[task], strict=True)
        )

    for pred in range(1, 2 * gold):
        tps = {t: [n for n in range(min(pred, gold) + 1) if prints(t, n, pred)] for t in figures}
        if all(tps.values()) and any(
            whole <= min(mner, eeg) for whole, mner, eeg in product(*tps.values())
        ):
            return True
    return False


@pytest.mark.parametrize("digits", [0, 1, 2])
def test_with_the_gold_it_flags_exactly_what_no_counts_print(digits):
    rng = np.random.default_rng(digits)
    gold, answers = 23, []
    for number in range(30):
        lines = honest(rng, gold, digits)
        if number % 3:  # most of them with an error, which small tables often hide
            lines = list(ERRORS.values())[1 + number % 6](rng, lines)
        if any(not 0 <= float(f) <= 100 for printed in lines.values() for f in printed):
            continue
        answers.append(is_possible(lines, gold))
        assert is_flagged(lines, gold) is not answers[-1], lines
    assert {True, False} == set(answers)


def honest_tables(draws):
    for digits, gold in product((1, 2), (None, GOLD)):
        assert rate("none", gold=gold, digits=digits, draws=draws // 8) == 0
    for digits in (1, 2):
        assert macro_rate(digits=digits, draws=draws // 16, macro=False) == 0
        assert difference_rate(0, digits=digits, draws=draws * 3 // 16) == 0


def test_500_honest_tables_raise_no_flag():
    honest_tables(500)


@pytest.mark.slow
def test_10_000_honest_tables_raise_no_flag():
    honest_tables(10_000)


@pytest.mark.parametrize(("error", "gold", "digits", "least", "most"), [
    ("F1 off by 1 unit of the last decimal", None, 2, 0.35, 0.65),
    ("F1 off by 1 unit of the last decimal", GOLD, 2, 0.99, 1),
    ("F1 off by 2 units", None, 1, 0.99, 1),
    ("F1 and P exchanged", None, 2, 0.97, 1),
    ("P and R exchanged in one task", None, 2, 0.97, 1),
    ("MNER of another run", None, 1, 0.8, 0.99),
])  # fmt: skip
def test_planted_errors_are_found_at_the_rate_that_rounding_allows(
    error, gold, digits, least, most
):
    assert least <= rate(error, gold=gold, digits=digits, draws=60) <= most


def test_micro_averages_lie_within_their_range():
    rng = np.random.default_rng(0)
    for _ in range(20):
        gold = [int(g) for g in rng.integers(1, 500, size=5)]
        values = [Fraction(int(v), 10_000) for v in rng.integers(0, 10_000, size=5)]
        ends = []
        for shares in product(PREDICTED, repeat=5):
            sizes = [g * (1 + share) for g, share in zip(gold, shares, strict=True)]
            ends.append(sum(v * s for v, s in zip(values, sizes, strict=True)) / sum(sizes))
        assert micro_range(values, gold) == (min(ends), max(ends))


@pytest.mark.parametrize(("lines", "flag"), [
    (",a,gmner,,50.00,60.00,54.55,,,,,", None),
    (",a,gmner,,50.00,60.00,54.56,,,,,",
     ("average_like", "a GMNER", "give F1 54.5404 to 54.5505, printed is 54.56")),
    (",a,gmner,,50.00,60.00,53.00,,,,,",
     ("inconsistent", "a GMNER", "printed is 53.00; no other order fits")),
    (",a,gmner,,50.00,54.55,60.00,,,,,", ("permuted", "a GMNER", "54.55 fits as F1")),
    # a spreadsheet dropped a zero: without digits 54.5 may be anything from 54.45 to 54.55
    (",a,gmner,,50,60,54.5,,,,,", None),
    (",a,gmner,,50,60,54.5,,,2,,", ("average_like", "a GMNER", "54.5404 to 54.5505")),
    # 2 of 3 is 66.67, and no third of 3 is 60
    (",a,mner,,66.67,66.67,66.67,3,3,,,", None),
    (",a,mner,,60.00,60.00,60.00,3,,,,", ("counts", "a MNER", "1.7998 to 1.8001, no whole number")),
    (",a,mner,,66.67,66.67,66.67,3,4,,,", ("counts", "a MNER", "so 2; no whole number of predict")),
    (",a,gmner,,50.00,50.00,50.00,,,,,\n,a,mner,,60.00,70.00,64.62,,,,,",
     ("one_list", "a ", "0.9998 to 1.0002 for GMNER, 0.8570 to 0.8573 for MNER")),
    (",a,gmner,,50.00,50.00,50.00,,,,,\n,a,eeg,,40.00,40.00,40.00,,,,,",
     ("order", "a ", "P 50.00 of GMNER > 40.00 of EEG")),
    # each alone is possible, but with 12 predictions and with 15
    (",a,gmner,,50,60,55,10,,,,\n,a,eeg,,58,70,64,10,,,,", None),
    (",a,mner,,50.0,60.0,54.5,10,,,,\n,a,eeg,,46.7,70.0,56.0,10,,,,", ("one_list", "a ", "P/R")),
    (",a,gmner,,,,50.00,,,,,\n,b,gmner,,,,48.00,,,,,\n,a,gmner,,,,,,,,+2.00,b", None),
    (",a,gmner,,,,50.00,,,,-1.02,b\n,b,gmner,,,,51.00,,,,,",
     ("inconsistent", "a GMNER", "50.00 - 51.00 is -1.00, not -1.02")),
    (",a,gmner,,,,50.00,,,,2.00,b\n,b,gmner,,48.00,45.00,46.45,,,,,",
     ("inconsistent", "a GMNER", "2.00 is 50.00 - 48.00, headed P but not F1")),
    ("t1,a,gmner,,50.00,60.00,54.55,,,,,\nt2,a,gmner,,60.00,50.00,54.55,,,,,",
     ("columns_swapped", "t2 a GMNER", "t1 has P 50.00, R 60.00, F1 54.55")),
])  # fmt: skip
def test_each_flag_has_its_arithmetic(lines, flag, tmp_path):
    found = flags_of(tmp_path, HEAD + lines)
    if flag is None:
        assert found == []
        return
    ((kind, key, _, proof),) = found
    assert (kind, key.strip()) == (flag[0], flag[1].strip())
    assert flag[2] in proof


def test_a_macro_average_beside_micro_ones(tmp_path):
    types = [("x", 1000, 90), ("y", 10, 10)]
    lines = [f",{s},mner,{t},,,{f}.00,{g},,,," for s in "ab" for t, g, f in types]
    overall = [",a,mner,,,,89.20,,,,,", ",b,mner,,,,50.00,,,,,"]
    ((kind, key, _, proof),) = flags_of(tmp_path, HEAD + "\n".join(lines + overall))
    assert (kind, key) == ("mixed_average", "b MNER")
    assert "50.00 is the mean of its 2 rows" in proof
    # nothing to compare with: a table of macro averages alone is consistent
    alone = [line for line in lines + overall if line.startswith(",b")]
    assert flags_of(tmp_path, HEAD + "\n".join(alone)) == []


@pytest.mark.parametrize(("text", "message"), [
    ("", "t.csv:1: no column system, task, F1"),
    ("system,task,f1\n", "unknown column 'f1'; did you mean F1?"),
    ("system,task,F1\n", "no line with figures"),
    ("system,task,F1\na,gmnr,50\n", "t.csv:2: task 'gmnr' is unknown; did you mean gmner?"),
    ("system,task,F1\na,gmner,5O.1\n", "F1 '5O.1' is not a figure in percent"),
    ("system,task,F1\na,gmner,500\n", "F1 500 does not lie in 0..100"),
    ("system,task,F1\na,gmner,0.5\n", "all figures lie in 0..1; give them in percent"),
    ("system,task,F1\na,gmner,50\na,gmner,51\n", "t.csv:3: a GMNER stands twice"),
    ("system,task,F1\n,gmner,50\n", "no system"),
    ("system,task,F1\na,gmner,50,3\n", "more cells than columns"),
    ("system,task,F1,digits\na,gmner,50.11,1\n", "F1 50.11 has more than 1 digits"),
    ("system,task,F1,n_gold\na,gmner,50,many\n", "n_gold 'many' is not a whole number"),
    ("system,task,F1,difference\na,gmner,50,1\n", "difference and than belong together"),
    ("system,task,F1,difference,than\nTIGER,mner,50,,\na,mner,52,1,TIGR\n",
     "no line of TIGR MNER to take the difference to; did you mean TIGER?"),
    ("system,task,F1,difference,than\na,mner,50,,\nb,mner,,1,a\n", "a difference of b MNER, which"),
])  # fmt: skip
def test_a_wrong_table_is_one_line(text, message, tmp_path):
    with pytest.raises(InputError) as error:
        flags_of(tmp_path, text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
