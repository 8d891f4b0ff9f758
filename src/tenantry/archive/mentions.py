"""Where a person is mentioned in rows that are not the person's: in texts and documents, at any depth."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import JSON, Column, Row, String, Table, Uuid, insert, update

from tenantry.archive.persons import Key, Person, among_keys, folded, own_key
from tenantry.isolation.purging import Purge
from tenantry.models import TENANT_COLUMN, is_append_only

ERASED: Final = "[erased]"
# A shorter name is looked for as a whole value only: as a part of one it may stand for anything.
_SHORTEST_PART: Final = 5
_BEFORE: Final = r"(?<![\w.+-])"
_BEHIND: Final = r"(?![\w-]|\.\w)"


@dataclass(frozen=True, slots=True)
class Mentions:
    """Finds a person's names in values, and takes them out."""

    person: Person
    _parts: re.Pattern[str] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        long = sorted((name for name in self.person.names if len(name) >= _SHORTEST_PART), key=len, reverse=True)
        found = f"{_BEFORE}(?:{'|'.join(map(re.escape, long))}){_BEHIND}" if long else None
        object.__setattr__(self, "_parts", found and re.compile(found, re.IGNORECASE))

    def in_value(self, value: Any) -> bool:
        """Whether a value mentions the person, or a part of it does."""
        return any(self._is_said(text) for text in texts(value))

    def without(self, value: Any) -> Any:
        """Returns a value in which the person is no longer mentioned."""
        if isinstance(value, str):
            return self._cleaned(value)
        if isinstance(value, Mapping):
            return {self._cleaned(key): self.without(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.without(item) for item in value]
        return None if self.in_value(value) else value

    def _is_said(self, text: str) -> bool:
        plain = folded(text)
        # Most texts are told by this alone, at a tenth of the price.
        if not any(name in plain for name in self.person.names):
            return False
        return plain in self.person.names or bool(self._parts and self._parts.search(_normal(text)))

    def _cleaned(self, text: str) -> str:
        if self.person.is_named(text):
            return ERASED
        return self._parts.sub(ERASED, _normal(text)) if self._parts and self._is_said(text) else text


def texts(value: Any) -> Iterator[str]:
    """Yields what a value says in words: itself, or every text in it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, uuid.UUID):
        yield str(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from texts(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from texts(item)


def speaking(table: Table) -> list[Column[Any]]:
    """Returns the columns of *table* whose values may hold words or an identifier."""
    return [column for column in table.columns if column.name != TENANT_COLUMN and _may_speak(column)]


def mentioning(view: Purge, table: Table, mentions: Mentions) -> dict[Key, list[str]]:
    """Returns the keys of the tenant's rows of *table* that mention the person, each with the columns that do."""
    key, said = own_key(table), speaking(table)
    if not said:
        return {}
    found = {}
    for row in view.select(table, [*key, *said]):
        own, values = tuple(row[: len(key)]), row[len(key) :]
        names = [column.name for column, value in zip(said, values, strict=True) if mentions.in_value(value)]
        if names:
            found[own] = names
    return found


def blank(view: Purge, table: Table, mentions: Mentions, keys: Sequence[Key]) -> int:
    """Takes the person out of rows that stay, those of append-only tables too, and returns how many changed.

    A row that is known by the person's name goes.
    """
    own, done = own_key(table), 0
    for condition in among_keys(own, keys):
        rows = list(view.select(table, list(table.columns), condition))
        named = [row for row in rows if mentions.in_value([row._mapping[column.name] for column in own])]
        kept = [row for row in rows if row not in named]
        for among in among_keys(own, [_key(own, row) for row in named]):
            view.delete(table, among)
        _write(view, table, [_blanked(table, row, mentions) for row in kept])
        done += len(rows)
    return done


def _write(view: Purge, table: Table, rows: list[dict[str, Any]]) -> None:
    stands = view.standing(table)
    key = own_key(table)
    if is_append_only(table):
        # Nobody may update the table: the rows go, and come back without the person.
        for among in among_keys(key, [tuple(row[column.name] for column in key) for row in rows]):
            view.delete(table, among)
        if rows:
            view.connection.execute(insert(stands), rows)
        return
    for row in rows:
        which = [stands.c[column.name] == row[column.name] for column in key]
        view.connection.execute(update(stands).where(view.own(stands), *which).values(row))


def _blanked(table: Table, row: Row[Any], mentions: Mentions) -> dict[str, Any]:
    values = dict(row._mapping)
    for column in speaking(table):
        value = values[column.name]
        if value is not None and mentions.in_value(value):
            whole = column.nullable and not isinstance(value, Mapping | list) and mentions.person.is_named(value)
            values[column.name] = None if whole else mentions.without(value)
    return values


def _key(columns: Sequence[Column[Any]], row: Row[Any]) -> Key:
    return tuple(row._mapping[column.name] for column in columns)


def _may_speak(column: Column[Any]) -> bool:
    kind = column.type
    inner = getattr(kind, "impl_instance", kind)
    return isinstance(inner, String | JSON | Uuid) and not column.computed


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)
