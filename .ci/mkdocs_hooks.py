"""Links of the pages into the repository become names, because the site has no such files; dead ones fail.

Headers become pages.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".ci"))

import headers  # noqa: E402

LINK = re.compile(r"\[([^\]]*)\]\(\.\./([^)#\s]+)(?:#[^)\s]*)?\)")
HEADERS = re.compile(r"<!-- headers: (.*?) -->", re.S)


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Replaces `[text](../path)` by text and path, and `<!-- headers: FILES -->` by what these document."""

    def named(match: re.Match[str]) -> str:
        text, path = match.groups()
        if not (ROOT / path).exists():
            raise PluginError(f"{page.file.src_uri}: the link to ../{path} is dead")
        return f"`{path}`" if text.strip("`") in path else f"{text} (`{path}`)"

    def documented(match: re.Match[str]) -> str:
        try:
            return headers.reference(ROOT, match[1].split())
        except (OSError, headers.Undocumented) as error:
            raise PluginError(f"{page.file.src_uri}: {error}") from error

    return LINK.sub(named, HEADERS.sub(documented, markdown))
