"""What a CREATE TABLE of SQLite says beyond its PRAGMAs: checks, collations, generated columns, deferred keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<literal>[xX]?'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
      | (?P<word>\w+)
      | (?P<sign>\|\||->>|->|<<|>>|<=|>=|==|!=|<>|.)""",
    re.VERBOSE | re.DOTALL,
)
# Where no space stands between two words, as people write.
_TIGHT: Final = re.compile(r"(?<=\()\0|\0(?=[),])")
_PLAIN: Final = re.compile(r"[a-z_]\w*", re.IGNORECASE)
# What ends a part of a column's definition and begins the next.
_PARTS: Final = frozenset(
    {"constraint", "primary", "not", "null", "unique", "check", "default", "collate", "references", "generated", "as"}
)
_OF_TABLE: Final = frozenset({"constraint", "primary", "unique", "check", "foreign"})


@dataclass(frozen=True, slots=True)
class Clause:
    """Something that a table's text says: the column it says it of, or none; what kind; its name; and the words."""

    column: str
    kind: str
    name: str
    text: str


def tokens(text: str) -> list[str]:
    """Returns the words of a statement, without what is only spelling: space, comments, case, needless quotes."""
    return [word for found in _TOKEN.finditer(text) if (word := _word(found))]


def normal(text: str) -> str:
    """Returns a statement or an expression in one spelling, without brackets around the whole of it."""
    return spelled(tokens(text))


def spelled(words: Sequence[str]) -> str:
    """Returns words as one text, without brackets around the whole of it."""
    while len(words) > 1 and words[0] == "(" and _closing(words, 0) == len(words) - 1:
        words = words[1:-1]
    return _TIGHT.sub("", "\0".join(words)).replace("\0", " ")


def parted(words: Sequence[str], at: str) -> tuple[Sequence[str], Sequence[str]]:
    """Returns what stands before and behind the first *at* that is in no bracket."""
    place = 0
    while place < len(words) and words[place] != at:
        place = _closing(words, place) + 1 if words[place] == "(" else place + 1
    return words[:place], words[place + 1 :]


def clauses(create_table: str) -> Iterator[Clause]:
    """Yields what a CREATE TABLE says that PRAGMAs do not."""
    words = tokens(create_table)
    start = words.index("(") if "(" in words else len(words) - 1
    for part in _split(words[start + 1 : _closing(words, start)]):
        if part[0] in _OF_TABLE:
            yield from _of_table(part)
        else:
            yield from _of_column(part)


def _word(found: re.Match[str]) -> str:
    text = found.group()
    if found["space"]:
        return ""
    if found["literal"]:
        return text
    if found["quoted"]:
        inner = text[1:-1].replace(text[0] * 2, text[0])
        needless = _PLAIN.fullmatch(inner) and inner.lower() not in _PARTS | _OF_TABLE
        return inner.lower() if needless else f'"{inner}"'
    return text.lower()


def _closing(words: Sequence[str], start: int) -> int:
    """Returns where the bracket that opens at *start* closes."""
    depth = 0
    for place in range(start, len(words)):
        depth += (words[place] == "(") - (words[place] == ")")
        if depth == 0:
            return place
    return len(words)


def _split(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yields what stands between the commas that are in no bracket."""
    begin = place = 0
    while place < len(words):
        if words[place] == "(":
            place = _closing(words, place)
        elif words[place] == ",":
            yield words[begin:place]
            begin = place + 1
        place += 1
    if begin < len(words):
        yield words[begin:]


def _of_table(words: Sequence[str]) -> Iterator[Clause]:
    name, words = (words[1], words[2:]) if words[0] == "constraint" else ("", words)
    if words[0] == "check":
        yield Clause("", "check", name, spelled(words[1:]))
    elif words[0] == "foreign" and (wait := _deferral(words)):
        yield Clause("", "deferral", spelled(words[2 : _closing(words, 2) + 1]), wait)


def _of_column(words: Sequence[str]) -> Iterator[Clause]:
    column, name, place = words[0], "", 1
    while place < len(words):
        word = words[place]
        end = _closing(words, place + 1) + 1 if words[place + 1 : place + 2] == ["("] else place + 1
        if word == "constraint":
            name, place = words[place + 1], place + 2
            continue
        if word == "check":
            yield Clause("", "check", name, spelled(words[place + 1 : end]))
        elif word == "collate":
            yield Clause(column, "collate", "", words[place + 1])
        elif word == "as":
            yield Clause(column, "generated", "", spelled(words[place + 1 : end]))
        elif word == "references" and (wait := _deferral(words[place:])):
            yield Clause("", "deferral", column, wait)
        name, place = ("" if word in _PARTS else name), end
    if "autoincrement" in words:
        yield Clause(column, "autoincrement", "", "")


def _deferral(words: Sequence[str]) -> str:
    if "deferrable" not in words:
        return ""
    place = words.index("deferrable")
    return spelled(["not"] * (words[place - 1] == "not") + list(words[place : place + 3]))
