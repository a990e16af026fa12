"""The pages themselves: links lead somewhere, each says what it answers, README names them all."""

import re
import runpy
from functools import cache
from types import SimpleNamespace

import pytest

from tests.conftest import REPOSITORY
from tests.docs.commands import PAGES

DOCS = sorted(page for page in (REPOSITORY / "docs").glob("*.md") if page.name != "index.md")
RAW = "https://raw.githubusercontent.com/gmbench/gmbench/main/"
"""Pictures of the README have absolute addresses: package indexes show them as well."""
LINK = re.compile(r"(?:\]\(|src=\")([^)\s\"]+)[)\"]")


@cache
def anchors(page):
    """What may follow # in a link to a page, as GitHub makes it of a heading."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        link = link.removeprefix(RAW) if page.name == "README.md" else link
        if re.match(r"\w+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = page.parent / target if target else page
        assert path.exists(), link
        if anchor:
            assert anchor in anchors(path.resolve()), link


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_a_page_opens_with_what_it_answers(page):
    title, empty, question = page.read_text().splitlines()[:3]
    assert title.startswith("# ")
    assert empty == ""
    assert re.fullmatch(r"\*[A-Z].*\?\*", question)


def test_the_documentation_lists_every_page():
    nav = (REPOSITORY / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    pages = (REPOSITORY / "docs").rglob("*.md")
    assert sorted(re.findall(r": (\S+\.md)$", nav, re.MULTILINE)) == sorted(
        page.relative_to(REPOSITORY / "docs").as_posix() for page in pages
    )


def test_the_reference_describes_one_name_a_line():
    """Of two names before one colon mkdocstrings takes the second for the type of the first."""
    pages = (REPOSITORY / "docs" / "reference").glob("*.md")
    modules = [name for page in pages for name in re.findall(r"(?m)^::: (\S+)", page.read_text())]
    assert len(modules) > 15
    for module in modules:
        text = (REPOSITORY / module.replace(".", "/")).with_suffix(".py").read_text()
        assert not re.findall(r"(?m)^ {8}(?!self)\w+(?:, \w+)+: .*", text), module


def test_on_the_site_links_out_of_docs_lead_to_the_repository_and_pictures_to_their_bytes():
    hook = runpy.run_path(str(REPOSITORY / "docs" / "hooks.py"))["on_page_markdown"]
    text = "![b](../e/b.png) [t](../e/t.md) [![b](../b.png)](../t.md#x) [in](in.md) ![in](in.png)"
    assert hook(text, config=SimpleNamespace(repo_url="R")) == (
        "![b](R/raw/main/e/b.png) [t](R/blob/main/e/t.md) "
        "[![b](R/raw/main/b.png)](R/blob/main/t.md#x) [in](in.md) ![in](in.png)"
    )


def test_every_picture_is_shown_somewhere():
    shown = {link.rpartition("/")[2] for page in PAGES for link in LINK.findall(page.read_text())}
    for picture in (REPOSITORY / "docs" / "pictures").iterdir():
        assert picture.name in shown


def test_the_readme_is_short_and_its_table_of_contents_complete():
    text = (REPOSITORY / "README.md").read_text()
    assert len(text.split()) <= 900
    heads = set(re.findall(r"^## (.*)$", text, re.MULTILINE))
    listed = set(re.findall(r"\]\(#([\w-]+)\)", text))
    assert {head.lower().split()[0] for head in heads} == {name.split("-")[0] for name in listed}
