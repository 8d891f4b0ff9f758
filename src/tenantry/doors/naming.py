"""Which one tenant a statement, a key or an object names; whatever names none, or two, names nobody."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import (
    BinaryExpression,
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Delete,
    Insert,
    Join,
    Select,
    Table,
    Update,
    inspect,
)
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BooleanClauseList, Grouping
from sqlalchemy.sql.selectable import AliasedReturnsRows, SelectStatementGrouping

from tenantry.errors import ConfigurationError
from tenantry.ids import parse_uuid
from tenantry.models import TENANT_COLUMN, Ownership, is_walled, owned_tables, ownership
from tenantry.types import TenantKey

# A column, by its table's name and its own.
_Where = tuple[str, str]
_Fact = tuple[_Where, Any]

_NOT_IN_SLUGS: Final = re.compile(r"[^a-z0-9]+")
_LONGEST: Final = 54


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a new tenant is to be called, and by what others find it."""

    slug: str
    name: str
    identities: Sequence[tuple[str, str]]


class Names:
    """How the tenants of some models are named: by the tenant column and what must equal it, and by their records.

    *identities* says, for each kind of identity, the attribute of the record that holds its value, or several.

    Raises: ConfigurationError for identities of models without one record.
    """

    def __init__(
        self,
        models: Any,
        *,
        identities: Mapping[str, str | Sequence[str]],
        called: str,
        slug: Callable[[Any], str] | None,
    ) -> None:
        self._models = models
        self._called = called
        self._slug = slug
        self._attributes = {
            kind: (given,) if isinstance(given, str) else tuple(given) for kind, given in identities.items()
        }

    @cached_property
    def record(self) -> Mapper[Any] | None:
        """The class of the tenants' own records, if the models have just one."""
        found = [one for one in self._models.registry.mappers if _owner(one) is Ownership.RECORD]
        if self._attributes and len(found) != 1:
            raise ConfigurationError(
                what=f"The door has identities, but its models have {len(found)} TenantRecord classes.",
                fix="Give identities to doors whose models have one.",
            )
        return found[0] if len(found) == 1 else None

    @cached_property
    def _naming(self) -> frozenset[_Where]:
        tables = owned_tables(self._models.metadata, Ownership.TENANT, Ownership.RECORD)
        return frozenset((table.key, name) for table in tables for name in _naming_columns(table))

    @cached_property
    def _identifying(self) -> Mapping[str, Sequence[_Where]]:
        if self.record is None:
            return {}
        columns = self.record.columns
        return {
            kind: [(columns[name].table.key, columns[name].name) for name in names]
            for kind, names in self._attributes.items()
        }

    def of_statement(self, statement: Any, params: Any) -> TenantKey | None:
        """Returns the tenant that each row which *statement* reads or writes must have, or None."""
        if isinstance(statement, Insert) or isinstance(params, list):
            return self._of_rows(_rows(statement, params))
        return self._key(_facts(statement, params or {}))

    def of_key(self, entity: Any, ident: Any) -> TenantKey | None:
        """Returns the tenant that a row's key names: the whole key, or a record's own id."""
        mapper: Mapper[Any] = inspect(entity).mapper
        if not is_walled(_table(mapper)):
            return None
        if isinstance(ident, Mapping):
            return as_uuid(ident.get(TENANT_COLUMN))
        parts = tuple(ident) if isinstance(ident, tuple | list) else (ident,)
        whole = len(parts) == len(mapper.primary_key)
        return as_uuid(parts[0]) if whole or _owner(mapper) is Ownership.RECORD else None

    def of_row(self, row: object) -> TenantKey | None:
        """Returns the tenant that an object says it belongs to, or None; sends no statement."""
        state: Any = inspect(row)
        keys = [state.mapper.get_property_by_column(column).key for column in state.mapper.primary_key]
        held = dict(zip(keys, state.identity or (), strict=False)) | state.dict
        naming = [column for column in _table(state.mapper).columns if (column.table.key, column.name) in self._naming]
        return _only(_uuids(held.get(state.mapper.get_property_by_column(column).key) for column in naming))

    def is_record(self, row: object) -> bool:
        """Returns whether *row* is the record of a tenant."""
        return self.record is not None and isinstance(row, self.record.class_)

    def wanted(self, record: Any) -> Wanted:
        """Returns what the tenant of a new record is to be called."""
        name = str(getattr(record, self._called, None) or type(record).__name__)
        slug = self._slug(record) if self._slug else slug_of(name)
        found = ((kind, [_said(record, each) for each in names]) for kind, names in self._attributes.items())
        identities = [(kind, identity_value(*values)) for kind, values in found if None not in values]
        return Wanted(slug, name, identities)

    def _of_rows(self, rows: Iterable[Mapping[str, Any]]) -> TenantKey | None:
        given = [row.get(TENANT_COLUMN) for row in rows]
        return None if None in map(as_uuid, given) else _only(_uuids(given))

    def _key(self, facts: Sequence[_Fact]) -> TenantKey | None:
        named = _uuids(value for where, value in facts if where in self._naming)
        if named:
            return _only(named)
        said = [self._identity(kind, facts) for kind in self._identifying]
        return next((found for found in said if found is not None), None)

    def _identity(self, kind: str, facts: Sequence[_Fact]) -> TenantKey | None:
        values = [{value for where, value in facts if where == wanted} for wanted in self._identifying[kind]]
        if any(len(found) != 1 for found in values):
            return None
        return kind, identity_value(*(found.pop() for found in values))


def identity_value(*parts: Any) -> str:
    """Returns the identity that values make together; other values never make the same one."""
    texts = [str(getattr(part, "value", part)) for part in parts]
    return texts[0] if len(texts) == 1 else "/".join(quote(text, safe=" ") for text in texts)


def slug_of(name: str) -> str:
    """Returns a slug that resembles *name*."""
    return _NOT_IN_SLUGS.sub("-", name.lower())[:_LONGEST].strip("-") or "tenant"


def as_uuid(value: Any) -> uuid.UUID | None:
    """Returns the UUID that *value* is or spells, or None."""
    if isinstance(value, uuid.UUID):
        return value
    return parse_uuid(value) if isinstance(value, str) else None


def _uuids(values: Iterable[Any]) -> set[uuid.UUID]:
    return {found for found in map(as_uuid, values) if found is not None}


def _owner(mapper: Mapper[Any]) -> Ownership | None:
    return ownership(_table(mapper)) if isinstance(mapper.local_table, Table) else None


def _table(mapper: Mapper[Any]) -> Table:
    return mapper.local_table  # type: ignore[return-value]  # mapped to a Table wherever it is walled


def _said(record: Any, name: str) -> Any:
    """Returns what an attribute of a new record is going to be."""
    value = getattr(record, name)
    default = inspect(record).mapper.columns[name].default
    return default.arg if value is None and default is not None and default.is_scalar else value


def _only(found: set[uuid.UUID]) -> uuid.UUID | None:
    return next(iter(found)) if len(found) == 1 else None


def _naming_columns(table: Table) -> Iterator[str]:
    """Yields the columns that equal the tenant's id in every row: its own, and references to the tenant's record."""
    yield TENANT_COLUMN
    if ownership(table) is Ownership.RECORD:
        yield "id"
    for constraint in table.foreign_key_constraints:
        if ownership(constraint.referred_table) is Ownership.RECORD:
            yield from (key.parent.name for key in constraint.elements if key.column.name == "id")


def _facts(statement: Any, params: Mapping[str, Any]) -> list[_Fact]:
    """Returns which columns equal which value in every row of a statement."""
    if isinstance(statement, CompoundSelect):
        arms = [_facts(arm, params) for arm in statement.selects]
        return [fact for fact in arms[0] if all(fact in arm for arm in arms[1:])]
    if isinstance(statement, Select):
        inner = [fact for source in statement.get_final_froms() for fact in _facts(source, params)]
        return [*_equalities(statement.whereclause, params), *inner]
    if isinstance(statement, Update | Delete):
        return [*_equalities(statement.whereclause, params)]
    if isinstance(statement, Join):
        sides = [statement.left] if statement.isouter else [statement.left, statement.right]
        on = () if statement.isouter else _equalities(statement.onclause, params)
        return [*on, *(fact for side in sides for fact in _facts(side, params))] if not statement.full else []
    inside = isinstance(statement, AliasedReturnsRows | SelectStatementGrouping)
    return _facts(statement.element, params) if inside else []


def _equalities(condition: Any, params: Mapping[str, Any]) -> Iterator[_Fact]:
    """Yields the equalities that must hold where *condition* does."""
    if isinstance(condition, Grouping):
        yield from _equalities(condition.element, params)
    elif isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
        for part in condition.clauses:
            yield from _equalities(part, params)
    elif isinstance(condition, BinaryExpression) and condition.operator is operators.eq:
        for column, value in ((condition.left, condition.right), (condition.right, condition.left)):
            where = _stored(column)
            if where is not None and isinstance(value, BindParameter):
                yield where, params.get(value.key, value.effective_value)


def _stored(column: ColumnElement[Any]) -> _Where | None:
    """Returns the stored column behind one of a table, of an alias or of a subquery, or None for anything else."""
    roots = [root for root in column.base_columns if isinstance(getattr(root, "table", None), Table)]
    return (roots[0].table.key, roots[0].name) if len(roots) == 1 else None


def _rows(statement: Any, params: Any) -> list[Mapping[str, Any]]:
    """Returns the rows that are given to a statement, in itself or beside it, by their columns' keys."""
    inline: list[Any] = [row for group in getattr(statement, "_multi_values", ()) for row in group]
    if getattr(statement, "select", None) is not None:
        return []
    single = getattr(statement, "_values", None)
    inline = inline or ([single] if single else [])
    beside = params if isinstance(params, list) else [params] if params else []
    said = [{getattr(key, "key", key): _value(value) for key, value in row.items()} for row in inline]
    return [{**row, **more} for row in said or [{}] for more in beside or [{}]]


def _value(value: Any) -> Any:
    return value.effective_value if isinstance(value, BindParameter) else value
