"""What an operator says about a database that existed before: who its tenants are, and whose each row is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tenantry.types import TenantKey


@dataclass(frozen=True, slots=True)
class Value:
    """The row itself says whose it is: an SQL expression over its columns (``r.`` before a name is allowed)."""

    sql: str


@dataclass(frozen=True, slots=True)
class Through:
    """The row belongs to the tenant of another row; *by* gives the other's columns for each of its own.

    Without *by*, the foreign key that the models declare to *parent* says so.
    """

    parent: str
    by: Mapping[str, str] = field(default_factory=dict)


Rule = Value | Through


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Each distinct *value* found in *table* is a tenant; *slug* and *name* are SQL expressions over the same row.

    A slug that is not given is the value in lower case.
    """

    table: str
    value: str
    slug: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Single:
    """Every row belongs to this tenant, which ``tenancy.tenants.adopt`` has registered."""

    tenant: TenantKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one database is taken over.

    *rows* says whose the rows of a table are, *otherwise* of every tenant's table that *rows* does not name; what
    neither says follows from the one foreign key by which the models tie a table to another tenant's table.
    *identity* is the kind of outside name under which a value finds its tenant from now on. *losing* names what may
    go that the models do not have: a key as ``table(column, …)``, a column as ``table.column``.
    """

    tenants: Found | Single
    rows: Mapping[str, Rule] = field(default_factory=dict)
    otherwise: Value | None = None
    identity: str = "legacy_id"
    losing: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """What tells this plan from another that would give rows to other tenants."""
        # A tenant is told apart by the adoption's own key, and its record changes as it goes on.
        whose = "one tenant" if isinstance(self.tenants, Single) else self.tenants
        said = (whose, sorted((name, str(rule)) for name, rule in self.rows.items()), self.otherwise)
        return hashlib.sha256(repr((*said, self.identity)).encode()).hexdigest()[:16]


def value(sql: str) -> Value:
    """Returns the rule that the row itself says whose it is: a column's name, or any SQL expression over the row."""
    return Value(sql)


def through(parent: str, **by: str) -> Through:
    """Returns the rule that a row belongs to the tenant of another: ``through("orders", order_id="id")``."""
    return Through(parent, MappingProxyType(by))
