"""What mkdocs needs to read pages that are written for the repository."""

import re
from typing import Any

OUTSIDE = re.compile(r"\]\((?:\.\./)+([^)\s]+)\)")


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Links out of ``docs`` lead to the file in the repository."""
    return OUTSIDE.sub(lambda link: f"]({config.repo_url}/blob/main/{link[1]})", markdown)
