"""A person's rows: those in which a declared column names the person, and those that go with such rows."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Column, ColumnElement, ForeignKeyConstraint, MetaData, Table, select, tuple_

from tenantry.errors import PersonEntangled, PersonsUndeclared, PersonUnnamed
from tenantry.isolation.purging import Purge
from tenantry.models import TENANT_COLUMN, Ownership, owned_tables, subject_columns, subject_tables

Key: TypeAlias = tuple[Any, ...]
# Own keys, the tenant's left out, by the name of the table.
Holdings: TypeAlias = dict[str, set[Key]]
# Whether a value names the person that is meant.
Naming: TypeAlias = Callable[[object], bool]

# Far below what one statement may bind on either database.
BATCH: Final = 5_000


def folded(value: object) -> str:
    """Returns a name as names are compared: addresses are written in many cases and mean one mailbox."""
    return unicodedata.normalize("NFC", str(value)).strip().casefold()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody by all the names that rows may have for one: addresses, numbers, identifiers."""

    names: frozenset[str]

    def __repr__(self) -> str:
        return f"Person({len(self.names)} names)"

    @classmethod
    def of(cls, names: str | Iterable[str]) -> Person:
        """Returns the person of these names.

        Raises: PersonUnnamed where there is none.
        """
        found = frozenset(folded(name) for name in ([names] if isinstance(names, str) else names))
        if not found or "" in found:
            raise PersonUnnamed
        return cls(found)

    def is_named(self, value: object) -> bool:
        """Whether *value* is one of the names."""
        return value is not None and folded(value) in self.names


def check_declared(metadata: MetaData) -> None:
    """Lets models pass that say of some table whose personal data its rows are.

    Raises: PersonsUndeclared.
    """
    if not subject_tables(metadata):
        raise PersonsUndeclared


def find(view: Purge, metadata: MetaData, is_named: Naming) -> Holdings:
    """Returns the keys of a person's rows: first those that name the person, then all that go with them.

    With a row goes what refers to it by a key that says ``ON DELETE CASCADE``, and the other rows of one entity: those
    of joined inheritance, whose keys are one.
    """
    found: Holdings = {}
    for table in subject_tables(metadata):
        _add(found, table, _named(view, table, is_named))
    waiting, keys = list(found), _keys_of(metadata)
    while waiting:
        name = waiting.pop()
        for key in keys:
            for other, more in _beside(view, key, found, name):
                if _add(found, other, more):
                    waiting.append(other.name)
    return {name: rows for name, rows in found.items() if rows}


def names_in(view: Purge, metadata: MetaData, is_named: Naming) -> set[str]:
    """Returns the values of declared columns that name the person, as they are spelled there."""
    columns = [column for table in subject_tables(metadata) for column in subject_columns(table)]
    return {str(value) for column in columns for value in distinct(view, column) if is_named(value)}


def distinct(view: Purge, column: Column[Any]) -> Sequence[Any]:
    """Returns the values that a column has in the tenant's rows, each once."""
    stands = view.standing(column.table)
    question = select(stands.c[column.name]).distinct().where(view.own(stands))
    return [value for value in view.connection.execute(question).scalars() if value is not None]


def check_entangled(view: Purge, metadata: MetaData, found: Holdings) -> None:
    """Lets holdings pass that can go without another row's being left to refer to nothing.

    Raises: PersonEntangled, which names the keys in the way.
    """
    tangled = []
    for key in _keys_of(metadata):
        if found.get(key.parent.name) and not key.cascades and not key.empties:
            staying = _referring(view, key, found[key.parent.name]) - found.get(key.child.name, set())
            if staying:
                columns = ", ".join(column.name for column in key.columns)
                tangled.append(f"{key.child.name}.{columns} ({len(staying)} rows)")
    if tangled:
        raise PersonEntangled(references=", ".join(sorted(tangled)))


def remove(view: Purge, metadata: MetaData, found: Mapping[str, Collection[Key]]) -> dict[str, int]:
    """Deletes rows by their keys, children first, and returns how many went, by table."""
    gone = {}
    for table in reversed(owned_tables(metadata, Ownership.TENANT, Ownership.RECORD)):
        if keys := found.get(table.name):
            gone[table.name] = sum(view.delete(table, among) for among in among_keys(own_key(table), keys))
    return gone


def own_key(table: Table) -> list[Column[Any]]:
    """Returns the columns that tell a tenant's rows of *table* apart."""
    return [column for column in table.primary_key if column.name != TENANT_COLUMN]


def among_keys(columns: Sequence[Column[Any]], keys: Collection[Key]) -> Iterator[ColumnElement[bool]]:
    """Yields conditions that together are true of exactly the rows with these keys."""
    ordered = sorted(keys, key=repr)
    for start in range(0, len(ordered), BATCH):
        batch = ordered[start : start + BATCH]
        if len(columns) == 1:
            yield columns[0].in_([value for (value,) in batch])
        else:
            yield tuple_(*columns).in_(batch)


@dataclass(frozen=True, slots=True)
class _Reference:
    """A foreign key between two tables of tenants, the tenant's own column left out."""

    child: Table
    parent: Table
    columns: tuple[Column[Any], ...]
    referred: tuple[Column[Any], ...]
    ondelete: str

    @property
    def one_entity(self) -> bool:
        """Whether both rows are parts of one thing: the child's key is the parent's."""
        return list(self.columns) == own_key(self.child) and list(self.referred) == own_key(self.parent)

    @property
    def cascades(self) -> bool:
        """Whether the child's row goes with the parent's."""
        return self.ondelete == "CASCADE" or self.one_entity

    @property
    def empties(self) -> bool:
        """Whether the child's row stays and forgets the parent's."""
        return self.ondelete.startswith(("SET NULL", "SET DEFAULT"))


def _keys_of(metadata: MetaData) -> list[_Reference]:
    tables = owned_tables(metadata, Ownership.TENANT, Ownership.RECORD)
    keys = [(table, key) for table in tables for key in table.foreign_key_constraints]
    return [_reference(table, key) for table, key in keys if key.referred_table in tables]


def _reference(child: Table, key: ForeignKeyConstraint) -> _Reference:
    pairs = [(element.parent, element.column) for element in key.elements if element.parent.name != TENANT_COLUMN]
    return _Reference(
        child=child,
        parent=key.referred_table,
        columns=tuple(column for column, _ in pairs),
        referred=tuple(column for _, column in pairs),
        ondelete=" ".join((key.ondelete or "").upper().split()),
    )


def _beside(view: Purge, key: _Reference, found: Holdings, name: str) -> Iterator[tuple[Table, set[Key]]]:
    """Yields what goes with the rows found of one table, along one key."""
    if key.parent.name == name and key.cascades:
        yield key.child, _referring(view, key, found[name])
    if key.child.name == name and key.one_entity and key.parent.name != name:
        yield key.parent, set(found[name])


def _referring(view: Purge, key: _Reference, parents: set[Key]) -> set[Key]:
    """Returns the keys of the child's rows that refer to these rows of the parent."""
    values = parents
    if list(key.referred) != own_key(key.parent):
        values = _select(view, key.parent, key.referred, among_keys(own_key(key.parent), parents))
    return _select(view, key.child, own_key(key.child), among_keys(key.columns, values))


def _select(
    view: Purge, table: Table, columns: Sequence[Column[Any]], conditions: Iterable[ColumnElement[bool]]
) -> set[Key]:
    rows = (row for condition in conditions for row in view.select(table, columns, condition))
    return {tuple(row) for row in rows}


def _named(view: Purge, table: Table, is_named: Naming) -> set[Key]:
    found = set[Key]()
    for column in subject_columns(table):
        values = {(value,) for value in distinct(view, column) if is_named(value)}
        found |= _select(view, table, own_key(table), among_keys([column], values))
    return found


def _add(found: Holdings, table: Table, keys: set[Key]) -> bool:
    known = found.setdefault(table.name, set())
    before = len(known)
    known |= keys
    return len(known) > before
