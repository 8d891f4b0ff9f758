"""Whose each row is, as SQL that both databases read: the plan's rules followed from table to table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from sqlalchemy import MetaData, Table

from tenantry.fleet.adopting.plans import Found, Plan, Rule, Through, Value
from tenantry.fleet.adopting.shapes import NEW_TENANT, Shape
from tenantry.models import TENANT_COLUMN, Ownership, is_walled, owned_tables, ownership
from tenantry.models.foreign_keys import own_elements, target_table

# Under these names a row carries what it says of its tenant, and the tenant it has been given.
SAYS: Final = "tenantry_says"
HAS: Final = "tenantry_has"
# What every row says where one tenant has the whole database.
EVERYTHING: Final = "*"


class Unruled(Exception):
    """The plan does not say whose the rows of a table are, and the models leave more than one answer or none."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of the models out of a tenant's table: what it compares beside the tenant, and with what."""

    target: Table
    pairs: Mapping[str, str]

    @property
    def walled(self) -> bool:
        """Whether it leads to a tenant's table."""
        return is_walled(self.target)


@dataclass(frozen=True)
class Expressions:
    """Writes the questions about one database whose *shapes* are known; *quote* renders a name."""

    plan: Plan
    metadata: MetaData
    shapes: Mapping[str, Shape]
    quote: Callable[[str], str]

    @cached_property
    def walled(self) -> list[Table]:
        """The tenants' tables that stand in the database, those referred to before the referring."""
        tables = owned_tables(self.metadata, Ownership.TENANT, Ownership.RECORD)
        return [table for table in tables if table.name in self.shapes]

    @property
    def whole(self) -> bool:
        """Whether one tenant has the whole database to itself."""
        return not isinstance(self.plan.tenants, Found)

    def place(self, name: str) -> str:
        """Returns the table's full name as it stands."""
        shape = self.shapes[name]
        return f"{self.quote(shape.schema)}.{self.quote(name)}" if shape.schema else self.quote(name)

    def rows(self, name: str) -> str:
        """Returns the table with its columns called as they were before the adoption."""
        columns = [f"{self.quote(now)} AS {self.quote(then)}" for then, now in self.shapes[name].then.items()]
        if given := self.given(name):
            columns.append(f"{self.quote(given)} AS {HAS}")
        return f"(SELECT {', '.join(columns)} FROM {self.place(name)})"

    def given(self, name: str) -> str:
        """Returns the name of the column that holds the tenant a row has been given, or nothing before stage fill."""
        return next((one for one in (NEW_TENANT, TENANT_COLUMN) if self.shapes[name].has_ours(one)), "")

    def says(self, name: str, *, on_the_way: tuple[str, ...] = ()) -> str:
        """Returns what a row ``r`` says of its tenant, as text.

        Raises: Unruled.
        """
        if self.whole:
            return f"'{EVERYTHING}'"
        rule = self.rule(name)
        if isinstance(rule, Value):
            return f"CAST(({rule.sql}) AS text)"
        if name in on_the_way or rule.parent not in self.shapes:
            raise Unruled(f"the way through {' and '.join([*on_the_way, name])} leads to no tenant")
        by = rule.by or self._declared(name, rule.parent)
        same = [f"p.{self.quote(referred)} = r.{self.quote(own)}" for own, referred in by.items()]
        parents = self.said(rule.parent, on_the_way=(*on_the_way, name))
        return f"(SELECT p.{SAYS} FROM {parents} AS p WHERE {' AND '.join(same)})"

    def said(self, name: str, *, on_the_way: tuple[str, ...] = ()) -> str:
        """Returns the rows of a table, each with what it says of its tenant beside its columns."""
        says = self.says(name, on_the_way=on_the_way)
        return f"(SELECT r.*, {says} AS {SAYS} FROM {self.rows(name)} AS r)"

    def found(self) -> str:
        """Returns the tenants that the database knows: what their rows say, with a slug and a name for each."""
        found = self.plan.tenants
        if not isinstance(found, Found):
            return f"(SELECT '{EVERYTHING}' AS {SAYS}, '' AS slug, '' AS name)"
        said = f"CAST(({found.value}) AS text)"
        slug = f"CAST(({found.slug}) AS text)" if found.slug else f"lower({said})"
        name = f"CAST(({found.name}) AS text)" if found.name else said
        columns = f"{said} AS {SAYS}, min({slug}) AS slug, min({name}) AS name"
        return f"(SELECT {columns} FROM {self.rows(found.table)} AS r WHERE ({found.value}) IS NOT NULL GROUP BY 1)"

    def rule(self, name: str) -> Rule:
        """Returns how the rows of a table find their tenant.

        Raises: Unruled.
        """
        found = self.plan.tenants
        if name in self.plan.rows:
            return self.plan.rows[name]
        if isinstance(found, Found) and found.table == name:
            return Value(found.value)
        return self.plan.otherwise or self._tied(name)

    def _tied(self, name: str) -> Through:
        table = self.metadata.tables[name]
        ties = [one for one in references(table) if one.walled and one.target is not table]
        if len(ties) != 1:
            raise Unruled("the models tie it to " + (", ".join(one.target.name for one in ties) or "no tenant's table"))
        return Through(ties[0].target.name)

    def _declared(self, name: str, parent: str) -> Mapping[str, str]:
        found = [one.pairs for one in references(self.metadata.tables[name]) if one.target.name == parent]
        if len(found) != 1:
            raise Unruled(f"the models have {len(found)} foreign keys to {parent}")
        return found[0]


def references(table: Table) -> list[Reference]:
    """Returns the foreign keys of *table* to tenants' and Shared tables."""
    found = []
    for key in sorted(table.foreign_key_constraints, key=lambda key: list(key.column_keys)):
        target = target_table(key)
        if target is not None and (is_walled(target) or ownership(target) is Ownership.SHARED):
            pairs = {element.parent.name: element.column.name for element in own_elements(key)}
            found.append(Reference(target, pairs))
    return found
