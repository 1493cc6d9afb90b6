"""The pages of the documentation: their fenced blocks, the marks above them, and their links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("README.md"), *ROOT.glob("docs/*.md")])
"""None where the tests stand alone, as those of a wheel do."""
LANGUAGES = {"sh", "python", "c", "cpp", "cmake", "lammps", "text"}
MARK = re.compile(r"<!-- not run: (?P<reason>.+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: Its page.
        line: Number of its first line.
        language: What is behind the fence.
        text: What is inside.
        reason: Why it is not run; None where it is.
    """

    page: Path
    line: int
    language: str
    text: str
    reason: str | None

    @property
    def where(self) -> str:
        """For messages: page and line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page. A block that is indented instead of fenced, or has no language, is an error."""
    found: list[Block] = []
    lines = page.read_text().splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("    ") and at and not lines[at - 1].strip():
            raise AssertionError(f"{page.name}:{at + 1}: an indented block; fence it and name its language")
        if not line.lstrip().startswith("```"):
            at += 1
            continue
        language = line.strip().removeprefix("```")
        where = f"{page.name}:{at + 1}"
        assert line.startswith("```"), f"{where}: an indented fence, which the site does not know"
        assert language in LANGUAGES, (
            f"{where}: the block's language is '{language}', not of {sorted(LANGUAGES)}"
        )
        end = lines.index("```", at + 1)
        mark = MARK.fullmatch(lines[at - 1]) if at else None
        reason = mark["reason"] if mark else None
        found.append(Block(page, at + 2, language, "\n".join(lines[at + 1 : end]), reason))
        at = end + 1
    return found


def prose(page: Path) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)


def links(page: Path) -> list[str]:
    """What the page links to."""
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    return re.findall(r"\]\(([^()\s]+)\)", text) + re.findall(r"<(https?:[^>]*)>", text)


def anchors(page: Path) -> set[str]:
    """The names that a page's headings have on the site and on GitHub."""
    found = set()
    for title in re.findall(r"^#+ (.*)$", prose(page), flags=re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower()
        plain = re.sub(r"[^\w\s-]", "", plain)
        found.add(plain.replace(" ", "-"))
    return found
