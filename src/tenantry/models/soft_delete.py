"""Soft delete: rows that are stamped instead of deleted, hidden from a tenant's reads, and brought back whole."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from sqlalchemy import ColumnElement, Index, MetaData, String, Table, UniqueConstraint, event, select
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    Mapped,
    Mapper,
    RelationshipProperty,
    Session,
    declared_attr,
    mapped_column,
    object_mapper,
    object_session,
    with_parent,
)
from sqlalchemy.orm.attributes import instance_dict, set_attribute
from sqlalchemy.orm.interfaces import RelationshipDirection
from sqlalchemy.schema import conv

from tenantry.models.columns import UTCDateTime, utc_now
from tenantry.models.naming import conventional_name

# In Table.info: the rows may be stamped. In the info of a unique constraint or index: hidden rows count too.
SOFT_DELETE: Final = "tenantry_soft_delete"
INCLUDE_DELETED: Final = "include_deleted"
DELETED_AT: Final = "deleted_at"

# The classes that have the mixin and are mapped: where there are none, sessions need not hide anything.
mapped: Final[WeakSet[Mapper[Any]]] = WeakSet()


class _Moments:
    """Gives out moments, none twice: a stamp tells which rows went together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = datetime.datetime.min.replace(tzinfo=datetime.UTC)

    def next(self) -> datetime.datetime:
        """Returns the present time, later than any given out before."""
        with self._lock:
            self._last = max(utc_now(), self._last + datetime.timedelta(microseconds=1))
            return self._last


_moments: Final = _Moments()


class SoftDelete:
    """Rows that are stamped when they go: ``class Ticket(SoftDelete, TenantOwned, Base)``.

    What is declared unique is unique among the rows that are not stamped.
    """

    if TYPE_CHECKING:
        deleted_at: Mapped[datetime.datetime | None]
        deleted_by: Mapped[str | None]
    else:

        @declared_attr
        @classmethod
        def deleted_at(cls):
            return mapped_column(UTCDateTime, nullable=True, sort_order=95)

        @declared_attr
        @classmethod
        def deleted_by(cls):
            return mapped_column(String(255), nullable=True, sort_order=96)

    @classmethod
    def __table_cls__(cls, name: str, metadata: MetaData, *items: Any, **options: Any) -> Table:
        options["info"] = {**options.get("info", {}), SOFT_DELETE: True}
        build = getattr(super(), "__table_cls__", Table)
        table: Table = build(name, metadata, *items, **options)
        return table

    @hybrid_property
    def is_deleted(self) -> bool:
        """Whether the row is stamped."""
        return self.deleted_at is not None

    @is_deleted.inplace.expression
    @classmethod
    def _is_deleted(cls) -> ColumnElement[bool]:
        return cls.deleted_at.is_not(None)

    def soft_delete(self, by: str | None = None) -> None:
        """Stamps the row, and with it the rows that a delete would take along and that can be stamped.

        Without *by* the session's ``info["actor"]`` is who did it. What is stamped already keeps its stamp.
        """
        if self.deleted_at is not None:
            return
        session = object_session(self)
        who = by if by is not None or session is None else session.info.get("actor")
        moment = _moments.next()
        for row in _family(self, None):
            _stamp(row, moment, None if who is None else str(who))

    def restore(self) -> None:
        """Takes the stamp away, from the row and from exactly those that were stamped with it.

        Of a row that is in no session those below are brought back that are loaded.
        """
        if self.deleted_at is None:
            return
        for row in _family(self, self.deleted_at):
            _stamp(row, None, None)


def _stamp(row: SoftDelete, moment: datetime.datetime | None, by: str | None) -> None:
    # Not by setattr: an SQLModel takes nothing that is no field of its own.
    set_attribute(row, DELETED_AT, moment)
    set_attribute(row, "deleted_by", by)


def is_soft(table: Table) -> bool:
    """Returns whether rows of *table* are stamped in the table itself; a joined-inheritance child's are in another."""
    return bool(table.info.get(SOFT_DELETE)) and DELETED_AT in table.c


def narrow_uniqueness(table: Table) -> None:
    """Makes what is declared unique on *table* unique among the rows that are not stamped."""
    if not is_soft(table):
        return
    for constraint in [found for found in table.constraints if isinstance(found, UniqueConstraint)]:
        if not constraint.info.get(INCLUDE_DELETED):
            table.constraints.discard(constraint)
            name = constraint.name or conv(conventional_name(constraint, table))
            _unique_among_live(table, name, list(constraint.columns), {})
    for index in [found for found in table.indexes if found.unique]:
        if not index.info.get(INCLUDE_DELETED) and not has_condition(index):
            table.indexes.discard(index)
            _unique_among_live(table, index.name, list(index.expressions), dict(index.dialect_kwargs))


def has_condition(index: Index) -> bool:
    """Returns whether *index* holds only some of the rows."""
    return any(index.dialect_options[name]["where"] is not None for name in ("postgresql", "sqlite"))


def _unique_among_live(table: Table, name: Any, columns: list[Any], options: dict[str, Any]) -> None:
    live = table.c[DELETED_AT].is_(None)
    marks = {SOFT_DELETE: True}
    Index(name, *columns, unique=True, info=marks, **{**options, "postgresql_where": live, "sqlite_where": live})
    for column in columns if len(columns) == 1 else ():
        column.unique = column.index = None


def children(row: SoftDelete) -> Iterator[RelationshipProperty[Any]]:
    """Yields the relationships of *row* to rows that a delete would take along and that can be stamped."""
    for relationship in object_mapper(row).relationships:
        down = relationship.direction is not RelationshipDirection.MANYTOONE and not relationship.viewonly
        if down and relationship.cascade.delete and issubclass(relationship.mapper.class_, SoftDelete):
            yield relationship


def _family(row: SoftDelete, stamp: datetime.datetime | None) -> list[SoftDelete]:
    """Returns *row* and all below it that have the same stamp, or none."""
    found, waiting = [row], [row]
    while waiting:
        parent = waiting.pop()
        for relationship in children(parent):
            for child in _those_with(stamp, parent, relationship):
                if child not in found:
                    found.append(child)
                    waiting.append(child)
    return found


def _those_with(
    stamp: datetime.datetime | None, parent: SoftDelete, relationship: RelationshipProperty[Any]
) -> list[SoftDelete]:
    session = object_session(parent)
    if session is None or parent in session.new:
        held = instance_dict(parent).get(relationship.key)
        rows = (held or ()) if relationship.uselist else [held]
        return [row for row in rows if row is not None and row.deleted_at == stamp]
    return _asked(session, stamp, parent, relationship)


def _asked(
    session: Session, stamp: datetime.datetime | None, parent: SoftDelete, relationship: RelationshipProperty[Any]
) -> list[SoftDelete]:
    model = relationship.mapper.class_
    same = model.deleted_at.is_(None) if stamp is None else model.deleted_at == stamp
    of_parent = with_parent(parent, getattr(type(parent), relationship.key))
    rows = session.scalars(select(model).where(of_parent, same), execution_options={INCLUDE_DELETED: True})
    return list(rows.unique())


@event.listens_for(Mapper, "after_mapper_constructed")
def _remember(mapper: Mapper[Any], model: type) -> None:
    if issubclass(model, SoftDelete):
        mapped.add(mapper)
