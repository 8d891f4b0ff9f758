"""Stage filter on PostgreSQL: tenants' sessions are let in and walled, while the old application works as before."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Table

from tenantry.fleet.adopting import postgres_facts as facts
from tenantry.fleet.adopting.desk import Desk
from tenantry.fleet.adopting.expressions import Expressions
from tenantry.fleet.adopting.postgres_facts import UNDOING, literal
from tenantry.fleet.adopting.postgres_filling import function, refill, retiring
from tenantry.fleet.adopting.shapes import FORMER, NEW_ID, NEW_TENANT, REPLACED, ColumnShape, Shape
from tenantry.fleet.adopting.task import Task
from tenantry.isolation.ddl import create_statements
from tenantry.isolation.wall import Capabilities, database_statements, qualified, quote, table_statements
from tenantry.models import SHARED_SCHEMA, TENANT_COLUMN, Ownership, is_walled

# Lets in the logins that have nothing to do with Tenantry, as before; tenants' sessions have the wall's own policy.
TRANSITION: Final = "tenantry_adopting"

# A statement, and what takes it back, or nothing where it does not matter.
Change = tuple[str, str]


def filter_rows(task: Task) -> None:
    """Lets tenants' sessions in; all of it happens in one transaction, or nothing."""
    refill(task)
    with task.desk() as desk:
        expressions = task.expressions(desk)
        task.step("let in")
        if not is_filtered(expressions):
            changes = list(_changes(task, desk, expressions))
            undoing = [f"INSERT INTO {UNDOING} (statement) VALUES ({literal(undo)})" for _, undo in changes if undo]
            desk.run([*(statement for statement, _ in changes), *undoing])
        task.step("open")
        task.register.open(tenants(desk))
    task.server.forget_check()


def is_filtered(expressions: Expressions) -> bool:
    """Whether tenants' sessions find the tenant's column under its name."""
    return all(expressions.given(table.name) == TENANT_COLUMN for table in expressions.walled)


def tenants(desk: Desk, *, made: bool = False) -> list[uuid.UUID]:
    """Returns the tenants of the database, or those alone that the adoption made."""
    condition = " WHERE made" if made else ""
    return [tenant for (tenant,) in desk.rows(f"SELECT tenant FROM {facts.MAPPING}{condition}")]


def _changes(task: Task, desk: Desk, expressions: Expressions) -> Iterator[Change]:
    capabilities = task.server.capabilities()
    yield lock_all(task, expressions), ""
    if task.tenant:
        # What closes doors waits for stage enforce.
        yield from ((line, "") for line in database_statements(task.server.config, task.database) if _opens(line))
    for table in task.tables(Ownership.SHARED):
        yield from _share(task, desk, expressions, table)
    for table in expressions.walled:
        # Before the columns get other names, by which the policies would have to be made again.
        for policy in facts.policies(desk, expressions.place(table.name)):
            yield f"DROP POLICY {quote(policy.name)} ON {expressions.place(table.name)}", policy.creation
        yield from _rename(task, expressions, table)
        yield from _wall(task, desk, expressions, table, capabilities)
    for table in task.tables():
        if table.name in expressions.shapes and not is_walled(table):
            yield from _let_in(task, table, qualified(table), capabilities)


def lock_all(task: Task, expressions: Expressions) -> str:
    """Returns what takes every table at once, so that whoever writes several meets this at the first of them."""
    places = [expressions.place(table.name) for table in task.tables() if table.name in expressions.shapes]
    return f"LOCK TABLE {', '.join(places)} IN ACCESS EXCLUSIVE MODE"


def _opens(line: str) -> bool:
    return line.startswith(("GRANT ", "CREATE "))


def _share(task: Task, desk: Desk, expressions: Expressions, table: Table) -> Iterator[Change]:
    """Moves a reference table to where tenants read it; under its old name a view takes the old application there."""
    shape = expressions.shapes.get(table.name)
    if shape is None:
        for line in create_statements(task.server.metadata, [table], "postgresql"):
            yield line, ""
        return
    if shape.schema == SHARED_SCHEMA:
        return
    old, new = expressions.place(table.name), qualified(table)
    relation = facts.relation(desk, old)
    yield f"ALTER TABLE {old} SET SCHEMA {SHARED_SCHEMA}", f"ALTER TABLE {new} SET SCHEMA {quote(shape.schema)}"
    yield f"CREATE VIEW {old} AS SELECT * FROM {new}", f"DROP VIEW {old}"
    for grantee in {relation.owner, *relation.grantees} - _own_roles(task):
        yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {old} TO {quote(grantee)}", ""


def _rename(task: Task, expressions: Expressions, table: Table) -> Iterator[Change]:
    name, place, shape = table.name, expressions.place(table.name), expressions.shapes[table.name]
    for column in _taking_nulls(expressions, name):
        yield (
            f"ALTER TABLE {place} ALTER COLUMN {quote(column)} DROP NOT NULL",
            f"ALTER TABLE {place} ALTER COLUMN {quote(column)} SET NOT NULL",
        )
    former = shape.columns.get(TENANT_COLUMN)
    if former:
        comment = literal(former.comment) if former.comment else "NULL"
        yield (
            f"ALTER TABLE {place} RENAME COLUMN {TENANT_COLUMN} TO {FORMER}",
            f"ALTER TABLE {place} RENAME COLUMN {FORMER} TO {TENANT_COLUMN}",
        )
        yield (
            f"COMMENT ON COLUMN {place}.{FORMER} IS {literal(REPLACED + TENANT_COLUMN)}",
            f"COMMENT ON COLUMN {place}.{FORMER} IS {comment}",
        )
    for new, final in ((NEW_TENANT, TENANT_COLUMN), (NEW_ID, "id")):
        if shape.has_ours(new):
            yield (
                f"ALTER TABLE {place} RENAME COLUMN {new} TO {final}",
                f"ALTER TABLE {place} RENAME COLUMN {final} TO {new}",
            )
    yield function(task, _all_renamed(expressions), name), function(task, expressions, name)


def _taking_nulls(expressions: Expressions, name: str) -> Iterator[str]:
    """Yields the columns that go and must take rows of tenants whom the old application does not know."""
    columns = expressions.shapes[name].columns
    leaving = {*retiring(expressions, name), TENANT_COLUMN}
    yield from (one.name for one in columns.values() if one.name in leaving and one.required and not one.ours)


def _all_renamed(expressions: Expressions) -> Expressions:
    walled = {table.name for table in expressions.walled}
    shapes = {name: _renamed(one) if name in walled else one for name, one in expressions.shapes.items()}
    return dataclasses.replace(expressions, shapes=shapes)


def _renamed(shape: Shape) -> Shape:
    return dataclasses.replace(shape, columns={one.name: one for one in map(_column, shape.columns.values())})


def _column(column: ColumnShape) -> ColumnShape:
    if column.ours:
        final = {NEW_TENANT: TENANT_COLUMN, NEW_ID: "id"}
        return dataclasses.replace(column, name=final.get(column.name, column.name))
    if column.name == TENANT_COLUMN:
        return dataclasses.replace(column, name=FORMER, comment=REPLACED + TENANT_COLUMN)
    return column


def _wall(
    task: Task, desk: Desk, expressions: Expressions, table: Table, capabilities: Capabilities
) -> Iterator[Change]:
    """Puts up the wall for tenants' sessions alone: the owner is not forced, and others see what they saw."""
    place, app = expressions.place(table.name), task.server.config.role("app")
    if not facts.relation(desk, place).enabled:
        yield f"ALTER TABLE {place} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {place} DISABLE ROW LEVEL SECURITY"
        test = f"((select not pg_has_role(current_user, {literal(app)}, 'MEMBER')))"
        yield (
            f"CREATE POLICY {TRANSITION} ON {place} TO PUBLIC USING {test} WITH CHECK {test}",
            f"DROP POLICY {TRANSITION} ON {place}",
        )
    yield from _let_in(task, table, place, capabilities)
    for numbering in facts.numberings(desk, place):
        if not numbering.identity:
            grant = f"USAGE ON SEQUENCE {numbering.sequence}"
            yield f"GRANT {grant} TO {app}", f"REVOKE {grant} FROM {app}"


def _let_in(task: Task, table: Table, place: str, capabilities: Capabilities) -> Iterator[Change]:
    roles = ", ".join(sorted(_own_roles(task)))
    for line in table_statements(table, task.server.config, capabilities):
        if line.startswith("GRANT "):
            yield line, f"REVOKE ALL ON {place} FROM {roles}"
        elif line.startswith("CREATE POLICY"):
            yield line, f"DROP POLICY {line.split()[2]} ON {place}"


def _own_roles(task: Task) -> set[str]:
    return {task.server.config.role(name) for name in ("app", "platform", "operator")}
