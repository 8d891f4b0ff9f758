"""The keys of the models built beside the old ones, without standing in anybody's way; the swap comes later."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import CheckConstraint, Constraint, ForeignKeyConstraint, Index, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.schema import CreateIndex

from tenantry.fleet.adopting import postgres_facts as facts
from tenantry.fleet.adopting.desk import Desk
from tenantry.fleet.adopting.expressions import Expressions
from tenantry.fleet.adopting.postgres_facts import PREFIX, names, unforcing
from tenantry.fleet.adopting.task import Task
from tenantry.isolation.wall import quote
from tenantry.models import TENANT_COLUMN
from tenantry.models.foreign_keys import target_table
from tenantry.models.naming import conventional_name

GIVEN: Final = f"{PREFIX}given"

_DIALECT: Final = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it bare


@dataclass(frozen=True, slots=True)
class Built:
    """A key of the models that stands under a name of our own until the swap; *final* gives it its place."""

    table: str
    name: str
    temporary: str
    creation: str
    final: str


def prepare(task: Task, desk: Desk) -> None:
    """Builds every key and checks every row against it, while everybody goes on reading and writing."""
    expressions = task.expressions(desk)
    for table in expressions.walled:
        task.step("not null", table=table.name)
        _check_given(desk, expressions, table)
        for built in indexes(desk, expressions, table):
            task.step("index", table=table.name, key=built.name)
            _build(desk, built)
    for table in expressions.walled:
        for built in [*foreign_keys(expressions, table), *checks(desk, expressions, table)]:
            task.step("constraint", table=table.name, key=built.name)
            _constrain(desk, expressions, built)


def indexes(desk: Desk, expressions: Expressions, table: Table) -> Iterator[Built]:
    """Yields the indexes that stand for the primary key and the unique constraints, and the models' other indexes."""
    key = table.primary_key
    yield _unique(expressions, table, key, "PRIMARY KEY")
    for constraint in _sorted(table):
        if isinstance(constraint, UniqueConstraint):
            yield _unique(expressions, table, constraint, "UNIQUE")
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if TENANT_COLUMN in index.columns or not _stands(desk, str(index.name)):
            yield _index(table, index)


def foreign_keys(expressions: Expressions, table: Table) -> Iterator[Built]:
    """Yields the foreign keys of one table, to tables that stand."""
    for constraint in _sorted(table):
        if isinstance(constraint, ForeignKeyConstraint):
            target = target_table(constraint)
            if target is not None and target.name in expressions.shapes:
                yield _constraint(expressions, table, constraint)


def checks(desk: Desk, expressions: Expressions, table: Table) -> Iterator[Built]:
    """Yields the checks of one table that it does not have yet."""
    standing = facts.relation(desk, expressions.place(table.name)).checks
    for constraint in _sorted(table):
        if isinstance(constraint, CheckConstraint) and _name(constraint, table) not in standing:
            yield _constraint(expressions, table, constraint)


def replaced_indexes(expressions: Expressions, table: Table) -> Iterator[str]:
    """Yields the old indexes, other than keys, in whose place the models' own come."""
    for index in table.indexes:
        if TENANT_COLUMN not in index.columns:
            continue
        own = [column.name for column in index.columns if column.name != TENANT_COLUMN]
        for key in expressions.shapes[table.name].keys:
            same = key.name == index.name or (own and [*key.columns] == own)
            if key.kind == "index" and same and not key.name.startswith(PREFIX):
                yield key.name


def temporary_name(name: str) -> str:
    """Returns the name that a key bears until it takes its place."""
    return PREFIX + hashlib.sha256(name.encode()).hexdigest()[:16]


def _check_given(desk: Desk, expressions: Expressions, table: Table) -> None:
    """Lets SET NOT NULL find the proof of it, so that it need not read the table (PostgreSQL 12)."""
    place = expressions.place(table.name)
    if GIVEN not in facts.relation(desk, place).checks:
        test = f"CHECK ({TENANT_COLUMN} IS NOT NULL)"
        desk.run([f"ALTER TABLE {place} ADD CONSTRAINT {GIVEN} {test} NOT VALID"])
    desk.run([f"ALTER TABLE {place} VALIDATE CONSTRAINT {GIVEN}"])


def _build(desk: Desk, built: Built) -> None:
    valid = desk.rows("select indisvalid from pg_index where indexrelid = to_regclass(%s)", built.temporary)
    if valid != [(True,)]:
        # A build that was killed leaves an index that nobody may use.
        desk.alone(f"DROP INDEX CONCURRENTLY IF EXISTS {built.temporary}", built.creation)


def _constrain(desk: Desk, expressions: Expressions, built: Built) -> None:
    place = expressions.place(built.table)
    question = "select convalidated from pg_constraint where conrelid = to_regclass(%s) and conname = %s"
    found = desk.rows(question, place, built.temporary)
    if not found:
        desk.run([built.creation])
    if found != [(True,)]:
        # A forced owner would find no row at fault, whatever they hold.
        before, after = unforcing(facts.forced(desk, map(expressions.place, _walled(expressions))))
        desk.run([*before, f"ALTER TABLE {place} VALIDATE CONSTRAINT {built.temporary}", *after])


def _walled(expressions: Expressions) -> list[str]:
    return [table.name for table in expressions.walled]


def _unique(expressions: Expressions, table: Table, constraint: Constraint, kind: str) -> Built:
    name, place = _name(constraint, table), expressions.place(table.name)
    temporary = temporary_name(name)
    columns = [column.name for column in constraint.columns]  # type: ignore[attr-defined]  # both kinds have them
    nulls = " NULLS NOT DISTINCT" if constraint.dialect_kwargs.get("postgresql_nulls_not_distinct") else ""
    creation = f"CREATE UNIQUE INDEX CONCURRENTLY {temporary} ON {place} ({names(columns)}){nulls}"
    deferred = _deferred(constraint)
    final = f"ALTER TABLE {place} ADD CONSTRAINT {quote(name)} {kind} USING INDEX {temporary}{deferred}"
    return Built(table.name, name, temporary, creation, final)


def _deferred(constraint: Constraint) -> str:
    if not constraint.deferrable:
        return ""
    return " DEFERRABLE" + (f" INITIALLY {constraint.initially}" if constraint.initially else "")


def _index(table: Table, index: Index) -> Built:
    name = str(index.name)
    temporary = temporary_name(name)
    said = str(CreateIndex(index).compile(dialect=_DIALECT)).strip()
    plain = f"INDEX {_DIALECT.identifier_preparer.format_index(index)} ON "
    creation = said.replace(plain, f"INDEX CONCURRENTLY {temporary} ON ", 1)
    return Built(table.name, name, temporary, creation, f"ALTER INDEX {temporary} RENAME TO {quote(name)}")


def _constraint(expressions: Expressions, table: Table, constraint: Constraint) -> Built:
    name, place = _name(constraint, table), expressions.place(table.name)
    temporary = temporary_name(name)
    # Not AddConstraint: it would take the constraint out of the models' own CREATE TABLE.
    said = _DIALECT.ddl_compiler(_DIALECT, None).process(constraint)  # type: ignore[arg-type]  # as SQLAlchemy does
    named = f"CONSTRAINT {_DIALECT.identifier_preparer.format_constraint(constraint)} "
    rule = said.removeprefix(named) if constraint.name else said
    creation = f"ALTER TABLE {place} ADD CONSTRAINT {temporary} {rule} NOT VALID"
    final = f"ALTER TABLE {place} RENAME CONSTRAINT {temporary} TO {quote(name)}"
    return Built(table.name, name, temporary, creation, final)


def _name(constraint: Constraint, table: Table) -> str:
    return str(constraint.name) if constraint.name else conventional_name(constraint, table)


def _sorted(table: Table) -> list[Constraint]:
    return sorted(table.constraints, key=lambda constraint: _name(constraint, table))


def _stands(desk: Desk, name: str) -> bool:
    return desk.rows("select to_regclass(%s)", quote(name))[0][0] is not None
