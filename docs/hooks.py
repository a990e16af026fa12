"""What mkdocs needs to read pages that are written for the repository."""

import re
from typing import Any

OUTSIDE = re.compile(r"(!\[[^\[\]]*)?\]\((?:\.\./)+([^)\s]+)\)")


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Links out of ``docs`` lead to the file in the repository, pictures to its bytes."""

    def there(link: re.Match[str]) -> str:
        view = "raw" if link[1] else "blob"
        return f"{link[1] or ''}]({config.repo_url}/{view}/main/{link[2]})"

    return OUTSIDE.sub(there, markdown)
