"""The worked example of docs/audit.md is what the verb prints."""

from gmbench.core.command_line import console
from gmbench.reporting.tables import audit_table
from gmbench.scoring.audit import FLAGS, audit, read_table
from tests.conftest import REPOSITORY


def test_the_page_shows_what_the_audit_finds(tmp_path, monkeypatch, capsys):
    page = (REPOSITORY / "docs" / "audit.md").read_text()
    path = tmp_path / "TABLE.csv"
    path.write_text(page.split("```csv\n")[1].split("```")[0])
    monkeypatch.setenv("COLUMNS", "100")
    console().print(audit_table(audit(*read_table(path)), "TABLE.csv"))
    printed = [line for line in capsys.readouterr().out.splitlines() if line[0] in "╭│├╰"]
    shown = [line.strip() for line in page.splitlines() if line.startswith("    ")]
    assert shown == printed
    assert all(f"| `{flag}` |" in page for flag in FLAGS)
