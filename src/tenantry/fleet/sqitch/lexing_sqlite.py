"""Splitting an SQLite script into statements as the program sqlite3 does; its dot commands are refused by line."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Final

from tenantry.errors import ScriptRefused
from tenantry.fleet.sqitch.statements import Script, Statement

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<string>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
      | (?P<word>[A-Za-z_\u0080-\uffff][\w$]*)
      | (?P<unended>['"`\[])
      | (?P<end>;)
      | (?P<other>\d[\w.]*|.)""",
    re.DOTALL | re.VERBOSE,
)


def read_script(text: str, name: str) -> Script:
    """Returns the statements of a script; *name* is what errors call it.

    Raises: ScriptRefused with the line.
    """
    return Script(name, tuple(_statements(text, name)))


def _statements(text: str, name: str) -> Iterator[Statement]:
    place, line, start, begun = 0, 1, 0, 0
    words: list[str] = []
    while match := _TOKEN.match(text, place):
        kind, place = match.lastgroup, match.end()
        if not begun and kind not in ("space", "end"):
            begun, start = line, match.start()
        if not words and begun == line and match[0] == "." and match.start() == start:
            raise ScriptRefused(
                file=name, line=line, reason="Commands of the program sqlite3 (.name) are not run here."
            )
        if kind == "unended":
            raise ScriptRefused(file=name, line=line, reason="What this quotation mark begins has no end.")
        if kind in ("word", "quoted"):
            words.append(match[0].lower() if kind == "word" else match[0][1:-1])
        # SQLite itself knows where a trigger ends.
        if kind == "end" and begun and sqlite3.complete_statement(text[start:place]):
            yield Statement(text[start : place - 1].rstrip(), begun, tuple(words))
            words, begun = [], 0
        line += match[0].count("\n")
    if begun:
        yield Statement(text[start:].rstrip(), begun, tuple(words))
