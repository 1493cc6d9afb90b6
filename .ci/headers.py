"""The reference pages of C and C++, made from the comments of the headers when the site is built.

The headers keep to one layout, which this reads: a comment, then what it is about. A public item without one
is an error, so that the pages are whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

SECTION = re.compile(r"/\* -{4} (?P<title>.*?)\. (?P<examples>Examples?: .*?) -+ \*/")
C_NAME = re.compile(
    r"#define (?P<define>\w+)|\(\*(?P<function>\w+)\)\(void \*user_data|}\s*(?P<struct>\w+);|(?P<call>\w+)\("
    r"|typedef .*?(?P<alias>\w+);",
    re.S,
)


class Undocumented(Exception):
    """A header that this does not understand, or an item that has no comment."""


def c_page(text: str) -> str:
    """A C header as Markdown: its first comment, then its sections, an item a heading."""
    preface, rest = text.removeprefix("/*").split("*/", 1)
    out = [_paragraphs(re.sub(r"\n \* ?", "\n", preface).split("\nSPDX")[0])]
    for block in re.split(
        r"\n\n+", rest.split('extern "C" {\n#endif\n', 1)[1].split("#ifdef __cplusplus")[0]
    ):
        if section := SECTION.match(block.strip()):
            out.append(f"## {section['title']}\n\n{_code_names(section['examples'])}.")
            continue
        # One block may hold several items, each below its comment.
        for item in re.split(r"\n(?=/\*)", block.strip()):
            if item:
                out.append(_c_item(item))
    return "\n\n".join(out) + "\n"


def _c_item(item: str) -> str:
    comment, code = "", item
    if item.startswith("/*"):
        comment, code = item.removeprefix("/*").split("*/", 1)
        comment = re.sub(r"\n \* ?", "\n", comment)
    code = code.strip()
    name = C_NAME.search(code)
    if name is None:
        raise Undocumented(f"no name in:\n{item}")
    if not comment and "/*" not in code:
        raise Undocumented(f"no comment above:\n{code}")
    title = "bzd_status_t" if "bzd_status_t;" in code else next(found for found in name.groups() if found)
    return f"### {title}\n\n```c\n{code}\n```\n\n{_paragraphs(comment)}".rstrip()


@dataclass
class Item:
    """A declaration of C++, or several below one comment."""

    comment: list[str]
    code: list[str]
    members: list[Item] = field(default_factory=list)

    @property
    def name(self) -> str:
        last = re.sub(r"template <.*>\n", "", self.code[0], flags=re.S)
        kind = re.match(r"(?:class|struct|enum class|using) (\w+)", last)
        call = re.search(r"(operator\S+|~?\w+)\(", last)
        found = kind or call
        if found is None:
            raise Undocumented(f"no name in:\n{last}")
        return found[1]


def cpp_page(texts: list[str]) -> str:
    """Headers of C++ as Markdown: what is in the namespace, classes with their public members."""
    out = []
    for text in texts:
        body = re.sub(r"namespace detail {.*?} // namespace detail\n", "", text, flags=re.S)
        body = body.split("namespace boltzdrift {\n", 1)[1].split("} // namespace boltzdrift")[0]
        for item in _items(body.splitlines(), ""):
            out.append(_cpp_item(item, "##", ""))
    return "\n\n".join(out) + "\n"


def _cpp_item(item: Item, level: str, outer: str) -> str:
    code, comment = "\n".join(item.code), _paragraphs("\n".join(item.comment))
    out = [f"{level} {outer}{item.name}", f"```cpp\n{code}\n```", comment]
    out += [_cpp_item(member, level + "#", f"{item.name}::") for member in item.members]
    return "\n\n".join(part for part in out if part)


def _items(lines: list[str], indent: str) -> list[Item]:
    found: list[Item] = []
    comment: list[str] = []
    public, hidden, together, at = True, False, False, 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line.strip():
            comment, hidden, together = [], False, False
        elif access := re.fullmatch(r"\s*(public|protected|private):", line):
            public = access[1] == "public"
        elif line.startswith(f"{indent}///"):
            comment.append(line.removeprefix(f"{indent}///").removeprefix(" "))
        elif line.startswith(f"{indent}//"):
            hidden = True
        else:
            code = [line.removeprefix(indent)]
            while not re.search(r"[;{}]$", code[-1].split(" //")[0].rstrip()):
                code.append(lines[at].removeprefix(indent))
                at += 1
            body = []
            if code[-1].endswith("{"):
                while not re.fullmatch(indent + r"};?", lines[at]):
                    body.append(lines[at])
                    at += 1
                at += 1
            if not public or hidden or (not comment and code[-1].endswith("= default;")):
                continue
            if not comment and together:
                found[-1].code.append(_signature(code))
                continue
            if not comment:
                raise Undocumented("no comment above:\n" + "\n".join(code))
            found.append(_declared(comment, code, body, indent))
            comment, together = [], True
    return found


def _declared(comment: list[str], code: list[str], body: list[str], indent: str) -> Item:
    first = code[-1]
    inner = [line.removeprefix(indent) for line in body]
    if re.match(r"class ", first):
        inside = "\n".join(inner)
        # The members of a class are private until it says otherwise.
        members = _items(inside.split("public:\n", 1)[1].splitlines(), "    ") if "public:" in inside else []
        return Item(comment, ["\n".join(code).removesuffix(" {")], members)
    if re.match(r"struct |enum class ", first):
        return Item(comment, ["\n".join([*code, *inner, "};"])])
    return Item(comment, [_signature(code)])


def _signature(code: list[str]) -> str:
    """A declaration without the body and the initializers that a header shows."""
    text, depth = "\n".join(code).removeprefix("inline "), 0
    for at, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0 and (text[at:].startswith(" {") or re.match(r"\s+: ", text[at:])):
            return text[:at] + ";"
    return text


def _paragraphs(comment: str) -> str:
    """The text of a comment: `Errors:` and the like begin paragraphs, names of the library are code."""
    text = _code_names("\n".join(line.strip() for line in comment.strip().splitlines()))
    return re.sub(
        r"\s*(?<!\S)(Errors|Threads|Units|Ownership|Versions|Settings): ", r"\n\n**\1:** ", text
    ).strip()


def _code_names(text: str) -> str:
    """Names and JSON in backquotes, so that Markdown takes no underscore or star for its own."""
    parts = re.split(r"(`[^`]*`)", text)
    bare = re.compile(
        r"\{(?:[^{}]|\{[^{}]*\})*\}|(?<![\w/])(?:bzd|BZD)_\w+(?:\(\))?|\w+::\w+|\bexamples/[\w/.]+\w|\w+_\w+(?:\(\))?|\*(?=\w)"
    )
    return "".join(part if part.startswith("`") else bare.sub(lambda m: f"`{m[0]}`", part) for part in parts)


def reference(root: Path, names: list[str]) -> str:
    """The page of these headers."""
    texts = [(root / name).read_text() for name in names]
    return c_page(texts[0]) if names[0].endswith(".h") else cpp_page(texts)
