"""Joins of relationships: the tenants are compared, and only a row's own columns are written."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import ColumnElement, ForeignKey, ForeignKeyConstraint, Table, and_
from sqlalchemy.orm import Mapper, RelationshipProperty, foreign, remote
from sqlalchemy.sql import visitors

from tenantry.models.foreign_keys import is_lifted, own_elements
from tenantry.models.ownership import TENANT_COLUMN

Names = frozenset[tuple[str, str]]
Argument = Literal["primaryjoin", "secondaryjoin", "secondary", "foreign_keys", "remote_side"]


def plain_join(relationship: RelationshipProperty[Any]) -> ColumnElement[bool] | None:
    """Returns the join of a relationship that gives none; None where SQLAlchemy is to decide or to complain."""
    relationship._setup_entity()
    source, target = relationship.parent, relationship.mapper
    asked = _names(_resolved(relationship, "foreign_keys"))
    outward, inward = _keys(source, target, asked), _keys(target, source, asked)
    found = list(dict.fromkeys([*outward, *inward]))
    if len(found) != 1:
        return None
    if outward and (not inward or _is_many_to_one(relationship, found[0])):
        return _many_to_one(found[0])
    return _one_to_many(found[0])


def joined_as_given(relationship: RelationshipProperty[Any], name: Argument, given: Any) -> Any:
    """Returns a join that the application gives, with the comparison of tenants where it lacks one.

    Where it is not plain how to add one, the join comes back as it is, for the linter to judge.
    """
    relationship._setup_entity()
    join = _evaluated(relationship, given)
    if TENANT_COLUMN in {column for _, column in mentioned(join)}:
        return join
    secondary = _resolved(relationship, "secondary")
    if secondary is not None:
        return _with_secondary(relationship, name, join, secondary)
    return _with_key(relationship, join)


def mentioned(expression: Any) -> Names:
    """Returns the columns that *expression* names, as pairs of table and column."""
    return _names(element for element in visitors.iterate(expression) if element.__visit_name__ == "column")


def _keys(source: Mapper[Any], target: Mapper[Any], asked: Names) -> list[ForeignKeyConstraint]:
    """Returns the lifted keys that lead from one class to the other, those of the classes' own tables first."""
    found = [key for key in _all_keys(source, target) if not asked or _names(_parents(key)) <= asked]
    nearness = {key: (key.table is source.local_table) + (key.referred_table is target.local_table) for key in found}
    return [key for key in found if nearness[key] == max(nearness.values())]


def _all_keys(source: Mapper[Any], target: Mapper[Any]) -> list[ForeignKeyConstraint]:
    tables = [table for table in source.tables if isinstance(table, Table)]
    keys = [key for table in tables for key in table.foreign_key_constraints if is_lifted(key)]
    return [key for key in keys if key.referred_table in target.tables and not _is_inheritance(key, source)]


def _is_inheritance(key: ForeignKeyConstraint, mapper: Mapper[Any]) -> bool:
    """A joined-inheritance child's key to its parent's row is no relationship."""
    return any(
        step.inherits is not None
        and key.table is step.local_table
        and key.referred_table in step.inherits.tables
        and all(column.primary_key for column in _parents(key))
        for step in mapper.iterate_to_root()
    )


def _is_many_to_one(relationship: RelationshipProperty[Any], key: ForeignKeyConstraint) -> bool:
    """Tells the two sides of a self-reference apart: by remote_side, else by whether there can be several."""
    own = _names(_parents(key))
    remote_side = _names(_resolved(relationship, "remote_side"))
    if remote_side:
        return not own & remote_side
    if relationship.uselist is not False:
        return False
    other = relationship.mapper._props.get(str(relationship.back_populates))
    if isinstance(other, RelationshipProperty):
        return not (remote_side_of_other := _names(_resolved(other, "remote_side"))) or bool(own & remote_side_of_other)
    return True


def _many_to_one(key: ForeignKeyConstraint) -> ColumnElement[bool]:
    tenant = _tenant_of(key)
    own = [remote(element.column) == foreign(element.parent) for element in own_elements(key)]
    # A key to the tenant's own record has no other column than the tenant's, which the record cannot change.
    return and_(remote(tenant.column) == (tenant.parent if own else foreign(tenant.parent)), *own)


def _one_to_many(key: ForeignKeyConstraint) -> ColumnElement[bool]:
    tenant = _tenant_of(key)
    own = [element.column == remote(foreign(element.parent)) for element in own_elements(key)]
    return and_(tenant.column == remote(tenant.parent if own else foreign(tenant.parent)), *own)


def _tenant_of(key: ForeignKeyConstraint) -> ForeignKey:
    own = own_elements(key)
    return next(element for element in key.elements if element not in own)


def _parents(key: ForeignKeyConstraint) -> list[Any]:
    return [element.parent for element in own_elements(key)]


def _with_secondary(relationship: RelationshipProperty[Any], name: Argument, join: Any, secondary: Table) -> Any:
    mapper = relationship.parent if name == "primaryjoin" else relationship.mapper
    owner = next((table for table in mapper.tables if TENANT_COLUMN in table.c), None)
    if owner is None or TENANT_COLUMN not in secondary.c:
        return join
    link: Any = secondary.c[TENANT_COLUMN]
    if _annotations(join):
        link = remote(foreign(link))
    return and_(owner.c[TENANT_COLUMN] == link, join)


def _with_key(relationship: RelationshipProperty[Any], join: Any) -> Any:
    source, target = relationship.parent, relationship.mapper
    columns, marks = mentioned(join), _annotations(join)
    keys = dict.fromkeys([*_all_keys(source, target), *_all_keys(target, source)])
    used = [key for key in keys if _names(_parents(key)) <= columns]
    overlapping = set(source.tables) & set(target.tables)
    if len(used) != 1 or (overlapping and "remote" not in marks):
        return join
    tenant = _tenant_of(used[0])
    ends: list[Any] = [tenant.parent, tenant.column]
    if "remote" in marks:
        far = 0 if _names(_parents(used[0])) & _marked(join, "remote") else 1
        ends[far] = remote(ends[far])
    if "foreign" not in marks:
        join = _marking_foreign(join, _names(_parents(used[0])))
    return and_(ends[0] == ends[1], join)


def _marking_foreign(join: Any, own: Names) -> Any:
    def replace(element: Any, **_options: Any) -> Any:
        return foreign(element) if element.__visit_name__ == "column" and _names([element]) & own else None

    return visitors.replacement_traverse(join, {}, replace)


def _annotations(expression: Any) -> set[str]:
    return {mark for mark in ("foreign", "remote") if _marked(expression, mark)}


def _marked(expression: Any, mark: str) -> Names:
    return _names(element for element in visitors.iterate(expression) if mark in element._annotations)


def _resolved(relationship: RelationshipProperty[Any], name: Argument) -> Any:
    given = getattr(relationship._init_args, name).argument
    return _evaluated(relationship, given, tables=name == "secondary")


def _evaluated(relationship: RelationshipProperty[Any], given: Any, *, tables: bool = False) -> Any:
    """Returns what SQLAlchemy will make of an argument: names are looked up, functions called."""
    if isinstance(given, str):
        return relationship._clsregistry_resolvers[1](given, tables)()
    return given() if callable(given) and not hasattr(given, "__clause_element__") else given


def _names(columns: Any) -> Names:
    if columns is None:
        return frozenset()
    if hasattr(columns, "__clause_element__") or hasattr(columns, "table"):
        columns = [columns]
    found = [column.__clause_element__() if hasattr(column, "__clause_element__") else column for column in columns]
    return frozenset((column.table.fullname, column.name) for column in found if isinstance(column.table, Table))
