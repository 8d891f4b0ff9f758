"""Relationships: plain ones get the join that compares the tenant and never writes it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, cast
from weakref import WeakSet

from sqlalchemy import ForeignKey, FromClause, Join, Table, event
from sqlalchemy.orm import Mapper, RelationshipProperty

from tenantry.models import joins
from tenantry.models.lifting import lift, lift_table
from tenantry.models.mixins import ownership_of
from tenantry.models.ownership import MARK, is_walled, ownership

_mappers: WeakSet[Mapper[Any]] = WeakSet()
_fresh: WeakSet[Mapper[Any]] = WeakSet()


def mappers_on(tables: Iterable[Table]) -> list[Mapper[Any]]:
    """Returns the mappers of all classes that are mapped to one of *tables*."""
    wanted = set(tables)
    found = [mapper for mapper in _mappers if mapper.local_table in wanted]
    return sorted(found, key=lambda mapper: f"{mapper.class_.__module__}.{mapper.class_.__qualname__}")


def own_relationships(mapper: Mapper[Any]) -> list[RelationshipProperty[Any]]:
    """Returns the relationships that the mapped class itself declares, before or after configuration."""
    properties = list(mapper._props.values())
    return [found for found in properties if isinstance(found, RelationshipProperty) and found.parent is mapper]


@event.listens_for(Mapper, "after_mapper_constructed")
def _remember(mapper: Mapper[Any], model: type) -> None:
    _mappers.add(mapper)
    _fresh.add(mapper)
    table, kind = mapper.local_table, ownership_of(model)
    if isinstance(table, Table) and kind is not None and ownership(table) is None:
        # The class was mapped to a Table that is declared by itself, so no declaration has marked it.
        table.info[MARK] = kind
        lift_table(table)


@event.listens_for(Mapper, "before_configured")
def _lift_fresh() -> None:
    fresh = list(_fresh)
    _fresh.clear()
    tables = [mapper.local_table for mapper in fresh if isinstance(mapper.local_table, Table)]
    for metadata in {table.metadata for table in tables}:
        lift(metadata)
    for mapper in fresh:
        _refresh_foreign_keys(mapper.persist_selectable)
        if any(isinstance(table, Table) and is_walled(table) for table in mapper.tables):
            for relationship in own_relationships(mapper):
                _lift_relationship(relationship)


def _refresh_foreign_keys(selectable: FromClause) -> None:
    """A join of tables, as inheritance makes it, remembers the foreign keys from before they were lifted."""
    if isinstance(selectable, Join):
        known = cast("set[ForeignKey]", selectable.foreign_keys)
        known.clear()
        known.update(key for column in selectable.columns for key in column.foreign_keys)


def _lift_relationship(relationship: RelationshipProperty[Any]) -> None:
    arguments: Any = relationship._init_args
    given = arguments.primaryjoin.argument
    if given is not None:
        arguments.primaryjoin.argument = partial(joins.joined_as_given, relationship, "primaryjoin", given)
        if arguments.secondaryjoin.argument is not None:
            second = arguments.secondaryjoin.argument
            arguments.secondaryjoin.argument = partial(joins.joined_as_given, relationship, "secondaryjoin", second)
    elif arguments.secondary.argument is None:
        arguments.primaryjoin.argument = partial(joins.plain_join, relationship)
