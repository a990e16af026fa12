"""Every flag that the audit finds is recomputed here, in another way, from the printed numbers."""

import json
import re
from itertools import permutations, product

import pytest

from experiments.papers.papers import papers
from experiments.papers.published import Cell
from gmbench.core.errors import InputError

HALF = 0.005
"""Printed numbers are rounded to two decimals."""
SCORES = ("mqspn_table1", "qgn_table1")
CELLS = [(t, r, c) for t in SCORES for r, row in papers().table(t).rows.items() for c in row.cells]


def f1(precision, recall):
    return 2 * precision * recall / (precision + recall)


def fits(precision, recall, printed_f1, slack=HALF):
    """Whether some P, R and F1 that round to these belong together."""
    low = f1(precision - slack, recall - slack) - slack
    return low <= printed_f1 <= f1(precision + slack, recall + slack) + slack


@pytest.mark.parametrize("place", CELLS, ids="-".join)
def test_flags_of_the_main_tables(place):
    table, row, column = place
    cell = papers().table(table).cell(row, column)
    header = "PRF" if table == "mqspn_table1" else "RPF"
    as_headed = dict(zip(header, cell.values, strict=True))
    headed_fits = fits(as_headed["P"], as_headed["R"], as_headed["F"])
    orders = {o for o in permutations(cell.values) if fits(*o)}
    original = papers().table("mqspn_table1").rows.get(row)
    same = None if original is None else original.cells[column]
    match cell.flag:
        case "ok":
            assert headed_fits
            assert cell.order in (header, "??F")
        case "columns_swapped":
            # An exchange of P and R cannot be seen in F1; the other paper's table shows it.
            assert headed_fits
            assert (cell.precision, cell.recall, cell.f1) == same.values
        case "permuted":
            assert (cell.precision, cell.recall, cell.f1) == same.values
            assert fits(cell.precision, cell.recall, cell.f1)
            assert as_headed["F"] != cell.f1
        case "average_like":
            assert not orders
            assert abs(f1(as_headed["P"], as_headed["R"]) - as_headed["F"]) <= 0.10
            assert cell.f1 == as_headed["F"]
        case "inconsistent":
            assert not orders
            assert abs(f1(as_headed["P"], as_headed["R"]) - as_headed["F"]) > 0.10
            assert (cell.precision, cell.recall, cell.f1) == (None, None, None)
            for letter, value in zip(("P", "R", "F1"), same.values, strict=True):
                assert f"{letter} {value:.2f}" in cell.reason
        case _:
            raise AssertionError(cell.flag)


def test_how_many_of_each_flag():
    flags = [papers().table(t).cell(r, c).flag for t, r, c in CELLS if t == "qgn_table1"]
    found = {flag: flags.count(flag) for flag in set(flags)}
    assert found == {
        "permuted": 9, "columns_swapped": 13, "inconsistent": 5, "average_like": 1, "ok": 2
    }  # fmt: skip


@pytest.mark.parametrize("table", SCORES)
def test_one_list_of_predictions_has_one_ratio(table):
    """P/R is #gold/#pred, whatever is counted as right."""
    for name, row in papers().table(table).rows.items():
        ranges = []
        for cell in row.cells.values():
            known = cell.precision is not None
            pairs = [(cell.precision, cell.recall)] if known else []
            if cell.order == "??F":
                pairs = [cell.values[:2], cell.values[1::-1]]
            ranges.append([((p - HALF) / (r + HALF), (p + HALF) / (r - HALF)) for p, r in pairs])
        agree = any(
            max(low for low, _ in choice) <= min(high for _, high in choice)
            for choice in product(*filter(None, ranges))
        )
        assert (row.reason is None) is agree
        if not all(ranges) and agree:
            assert row.one_list is None, name
            continue
        assert row.one_list is agree is (name == "H-Index"), name


def test_the_same_as_the_list_of_triples(shared):
    lines = (shared / "papers" / "published.jsonl").read_text().splitlines()
    listed = [json.loads(line) for line in lines]
    assert len(listed) == len(CELLS) == 60
    for item in listed:
        table = "mqspn_table1" if item["table"].startswith("MQSPN") else "qgn_table1"
        cell = papers().table(table).cell(item["method"], item["task"])
        assert list(cell.values) == item["printed"]
        assert cell.flag == item["flag"]
        assert (cell.precision, cell.recall, cell.f1) == (item["P"], item["R"], item["F1"])


@pytest.mark.parametrize(("table", "rows"), [
    ("mqspn_table1", 10), ("mqspn_table2", 9), ("mqspn_table3", 7), ("qgn_table1", 10),
    ("qgn_table2", 9), ("qgn_table3", 7), ("qgn_table4", 4), ("qgn_table5", 8), ("qgn_table6", 9),
])  # fmt: skip
def test_every_row_stands_in_the_paper(shared, table, rows):
    found = papers().table(table)
    assert len(found.rows) == rows
    paper = "mqspn_paper.txt" if found.paper == "MQSPN" else "qgn_paper.txt"
    text = (shared / "papers" / paper).read_text()
    text = re.sub(r"[()↓]|<[^>]*>", " ", text).replace("w/o", " ")
    body = " ".join(text.split())
    for name, row in found.rows.items():
        printed = [cell.printed.replace(" -", " ") for cell in row.cells.values()]
        if table == "mqspn_table3":  # a cell there holds the numbers of several rows
            assert all(part in body for part in printed), name
        else:
            assert " ".join(printed) in body, name


def test_differences_of_the_ablations():
    checked = 0
    for table in papers().tables.values():
        for name, row in table.rows.items():
            for key, cell in row.cells.items():
                if cell.delta is None:
                    continue
                full = float(table.columns[key].full)
                fits_full = abs(full + cell.delta - cell.f1) < 0.011
                assert fits_full is (cell.flag == "ok"), (table.label, name)
                checked += 1
    assert checked == 12 + 6 + 3 + 8


def test_full_models_are_those_of_the_main_tables():
    for key, table in papers().tables.items():
        for name, column in table.columns.items():
            if column.full is None:
                continue
            main = f"{table.paper.lower()}_table{1 if column.data == 'twitter_gmner' else 2}"
            row = table.paper if main.endswith("1") else "All"
            place = "gmner" if main.endswith("1") else table.paper.lower()
            assert papers().table(main).cell(row, place).f1 == float(column.full), key
            if "full" in table.rows:
                assert table.cell("full", name).f1 == float(column.full)


@pytest.mark.parametrize("table", ["mqspn_table2", "qgn_table2"])
def test_averages_over_types(table):
    found = papers().table(table)
    types = {name: row for name, row in found.rows.items() if name != "All"}
    gold = [row.gold for row in types.values()]
    assert sum(gold) == 2543
    for key, column in found.columns.items():
        values = [row.cells[key].f1 for row in types.values()]
        printed = found.cell("All", key)
        plain = sum(values) / len(values)
        weighted = sum(v * g for v, g in zip(values, gold, strict=True)) / sum(gold)
        assert min(values) <= printed.f1 <= max(values)
        if column.average == "macro":
            assert abs(plain - printed.f1) <= 0.0051 + 1e-9
            low, high = bounds_of_micro(values, gold)
            assert low > printed.f1 + 1
            assert f"{low:.2f} to {high:.2f}" in printed.reason
        elif column.average == "micro":
            assert abs(weighted - printed.f1) < 0.2 < abs(plain - printed.f1)
            assert printed.flag == "ok"
        else:
            low, high = bounds_of_micro(values, gold)
            assert abs(plain - printed.f1) > 0.01
            assert not low <= printed.f1 <= high
            assert f"{plain:.2f}" in printed.reason
            assert f"{low:.2f} to {high:.2f}" in printed.reason


def bounds_of_micro(values, gold):
    """Micro F1 if each type had between 10 % and 190 % as many predictions as gold entities."""
    ends = []
    for shares in product((0.1, 1.9), repeat=len(gold)):
        sizes = [g * (1 + share) for g, share in zip(gold, shares, strict=True)]
        ends.append(sum(v * s for v, s in zip(values, sizes, strict=True)) / sum(sizes))
    return min(ends), max(ends)


def test_claims_of_the_texts(shared):
    for claim in papers().claims:
        (one, two) = (papers().table(t).cell(r, c).f1 for t, r, c in (claim.first, claim.second))
        said = float(claim.value)
        assert (abs(one - two - said) < 0.011) is (claim.flag != "inconsistent"), claim.says
        paper = "mqspn_paper.txt" if claim.paper == "MQSPN" else "qgn_paper.txt"
        text = re.sub(r"[\s{}\\$]|dot|hat", "", (shared / "papers" / paper).read_text())
        assert f"+{claim.value}" in text, claim.says
        if claim.flag != "ok":
            assert claim.reason
    wrong = [claim for claim in papers().claims if claim.flag == "inconsistent"]
    assert [claim.value for claim in wrong] == ["2.15"]
    precision = papers().table("mqspn_table1").cell("MQSPN", "gmner").precision
    assert 61.18 - precision == pytest.approx(2.15)


def test_a_wrong_file_is_refused(tmp_path):
    text = papers.__wrapped__.__globals__["FILE"].read_text()
    path = tmp_path / "papers.yaml"
    for old, new, word in (
        ("protocol: mqspn", "protocal: mqspn", "did you mean protocol"),
        ("order: FD", "order: F", "does not say what"),
        ("label: Table VI", "lable: Table VI", "label"),
    ):
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(InputError, match=re.escape(word)):
            papers.__wrapped__(path)


def test_unknown_places_are_named():
    with pytest.raises(KeyError, match="mqspn_table3"):
        papers().table("mqspn_table9")
    with pytest.raises(KeyError, match="H-Index"):
        papers().table("mqspn_table1").cell("HIndex", "gmner")
    with pytest.raises(ValueError, match="needs a reason"):
        Cell("1.00", "F", "inconsistent", None)
