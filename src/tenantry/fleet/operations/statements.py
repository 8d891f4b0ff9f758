"""What a statement given as text changes: enough SQL is read to see which tables it writes, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import Delete, Insert, Table, TextClause, Update

# Strings, comments and dollar-quoted bodies: what they say is nobody's statement.
_SILENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)
_IDENTIFIER: Final = r'(?:"(?:[^"]|"")+"|`[^`]+`|[^\W\d]\w*)'
_NAME: Final = rf"(?:(?P<schema>{_IDENTIFIER})\s*\.\s*)?(?P<name>{_IDENTIFIER})"
_FIRST_WORD: Final = re.compile(r"[\s(]*([a-z]+)", re.IGNORECASE)
_WRITING: Final = frozenset({"insert", "update", "delete", "merge", "replace", "with"})
_WRITTEN: Final = re.compile(
    r"\b(?:(?:insert|replace)(?:\s+or\s+\w+)?\s+into|update(?:\s+or\s+\w+)?|delete\s+from|merge\s+into)"
    rf"(?:\s+only)?\s+{_NAME}",
    re.IGNORECASE,
)
_ALTERED: Final = re.compile(rf"\s*alter\s+table(?:\s+if\s+exists)?(?:\s+only)?\s+{_NAME}", re.IGNORECASE)
_CHECKING: Final = re.compile(
    r"\bforeign\s+key\b|\breferences\b|\bvalidate\s+constraint\b|\balter\s+(?:column\s+)?\S+\s+(?:set\s+data\s+)?type\b",
    re.IGNORECASE,
)
_REFERRED: Final = re.compile(rf"\breferences\s+(?:only\s+)?{_NAME}", re.IGNORECASE)
_DEFINED: Final = re.compile(
    r"\s*(?:alter|drop|create|truncate)\s+(?:table|(?:unique\s+)?index\b.*?\bon)"
    rf"(?:\s+if\s+(?:not\s+)?exists)?(?:\s+only)?\s+{_NAME}",
    re.IGNORECASE | re.DOTALL,
)
_MARK: Final = re.compile(r"/\* data step: (.+?) \*/ ")


class Named(NamedTuple):
    """A table as a statement names it."""

    name: str
    schema: str | None = None


def data_mark(table: str) -> str:
    """Returns what stands before a data step in written SQL, so that who runs it can count its rows."""
    return f"/* data step: {table} */ "


def data_table(statement: str) -> str | None:
    """Returns the table that a written data step changes, or None for any other statement."""
    found = _MARK.match(statement.lstrip())
    return found.group(1) if found else None


def written(statement: Any) -> list[Named]:
    """Returns the tables whose rows a statement changes, text or Core; nothing for any other kind."""
    if isinstance(statement, Insert | Update | Delete):
        table = statement.table
        return [Named(table.name, table.schema)] if isinstance(table, Table) else [Named(str(table))]
    text = _text_of(statement)
    return [] if text is None else [found for piece in _pieces(text) for found in _written_by(piece)]


def separate(statement: Any) -> list[Any]:
    """Returns a text of several statements, some of which change rows, one by one, and anything else as it is."""
    text = _text_of(statement)
    if text is None or (isinstance(statement, TextClause) and statement._bindparams):
        return [statement]
    silent, parts = _silenced(text), []
    begin = 0
    for end in [*(match.start() for match in re.finditer(";", silent)), len(text)]:
        if silent[begin:end].strip():
            parts.append(text[begin:end].strip())
        begin = end + 1
    words = [_first_word(_silenced(part)) for part in parts]
    # The body of a trigger or a function has semicolons of its own.
    apart = len(parts) > 1 and "create" not in words and any(word in _WRITING for word in words)
    return parts if apart else [statement]


def checked(statement: Any) -> list[Named]:
    """Returns the tables between which a text has foreign keys checked: it adds or validates one, or alters a type."""
    text = _text_of(statement)
    silent = "" if text is None else _silenced(text)
    altered = _ALTERED.match(silent)
    if altered is None or not _CHECKING.search(silent):
        return []
    return [_named(altered), *(_named(match) for match in _REFERRED.finditer(silent))]


def defined(statement: Any) -> Named | None:
    """Returns the table that a text of DDL is about, where it says so plainly."""
    text = _text_of(statement)
    found = None if text is None else _DEFINED.match(_silenced(text))
    return _named(found) if found else None


def _text_of(statement: Any) -> str | None:
    if isinstance(statement, TextClause):
        return statement.text
    return statement if isinstance(statement, str) else None


def _silenced(text: str) -> str:
    # Of the same length, so that places in it are places in the text.
    return _SILENT.sub(lambda match: " " * len(match.group()), text)


def _pieces(text: str) -> Iterable[str]:
    return _silenced(text).split(";")


def _first_word(text: str) -> str:
    found = _FIRST_WORD.match(text)
    return found.group(1).lower() if found else ""


def _written_by(piece: str) -> list[Named]:
    if _first_word(piece) not in _WRITING:
        return []
    return [_named(match) for match in _WRITTEN.finditer(piece)]


def _named(match: re.Match[str]) -> Named:
    schema = match.group("schema")
    return Named(_unquoted(match.group("name")), None if schema is None else _unquoted(schema))


def _unquoted(identifier: str) -> str:
    if identifier[0] in '"`':
        return identifier[1:-1].replace('""', '"')
    return identifier.lower()
