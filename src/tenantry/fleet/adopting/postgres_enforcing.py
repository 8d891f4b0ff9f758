"""Stage enforce on PostgreSQL: in one short transaction the new keys and the wall take the place of the old ones."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Table

from tenantry.fleet.adopting import postgres_facts as facts
from tenantry.fleet.adopting.desk import Desk
from tenantry.fleet.adopting.expressions import Expressions
from tenantry.fleet.adopting.keys import unsaid_keys
from tenantry.fleet.adopting.postgres_facts import OWN_SCHEMA, PREFIX, TRIGGER
from tenantry.fleet.adopting.postgres_filling import retiring
from tenantry.fleet.adopting.postgres_filtering import TRANSITION, lock_all
from tenantry.fleet.adopting.postgres_keys import GIVEN, checks, foreign_keys, indexes, prepare, replaced_indexes
from tenantry.fleet.adopting.shapes import FOREIGN, INDEX
from tenantry.fleet.adopting.task import Task
from tenantry.isolation.database import mark_of
from tenantry.isolation.ddl import create_statements
from tenantry.isolation.marks import noting_statements, with_revision
from tenantry.isolation.stamps import VERSION_TABLE, stamp_statements
from tenantry.isolation.wall import Capabilities, closed_roles, database_statements, quote, table_statements
from tenantry.models import TENANT_COLUMN, Ownership


def enforce(task: Task) -> None:
    """Builds the keys, then swaps them in; a crash before the swap leaves the old ones, one after it the new."""
    with task.desk() as desk:
        if not is_enforced(task, desk):
            prepare(task, desk)
            task.step("swap")
            desk.run(_swap(task, desk))
    if task.tenant:
        task.step("publish")
        task.server.publish_shared(task.database)
    task.server.forget_check()
    task.tenancy.router.clear()


def is_enforced(task: Task, desk: Desk) -> bool:
    """Whether the swap has happened: it takes the adoption's own schema away with it."""
    expressions = task.expressions(desk)
    keyed = (expressions.shapes[table.name].primary[:1] == (TENANT_COLUMN,) for table in expressions.walled)
    return all(keyed) and not facts.is_begun(desk)


def unprepare(task: Task, desk: Desk) -> None:
    """Takes away the keys that were built for a swap that did not come."""
    expressions = task.expressions(desk)
    for table in expressions.walled:
        place = expressions.place(table.name)
        built = [*foreign_keys(expressions, table), *checks(desk, expressions, table)]
        names = [*(one.temporary for one in built), GIVEN]
        desk.run([f"ALTER TABLE {place} DROP CONSTRAINT IF EXISTS {name}" for name in names])
    for table in expressions.walled:
        for index in indexes(desk, expressions, table):
            desk.alone(f"DROP INDEX CONCURRENTLY IF EXISTS {index.temporary}")


def _swap(task: Task, desk: Desk) -> Iterator[str]:
    expressions, capabilities = task.expressions(desk), task.server.capabilities()
    standing = [table for table in task.tables() if table.name in expressions.shapes]
    yield lock_all(task, expressions)
    yield from _old_keys(expressions)
    for table in expressions.walled:
        yield from _columns(expressions, table)
    for table in expressions.walled:
        yield from _new_keys(desk, expressions, table)
        yield from _numbers(desk, expressions, table)
    for table in task.tables(Ownership.SHARED):
        yield f"DROP VIEW IF EXISTS {quote(task.schema)}.{quote(table.name)}"
    if task.tenant:
        # First, as walls may need a schema of ours.
        yield from database_statements(task.server.config, task.database)
    for table in standing:
        yield from _take_over(task, desk, expressions, table)
        yield from table_statements(table, task.server.config, capabilities)
    yield from _missing(task, expressions, capabilities)
    yield from _stamp(task, desk)
    if task.tenant:
        mark = with_revision(mark_of(task.server.database), task.tenancy.scripts.head())
        yield f"COMMENT ON DATABASE {quote(task.database)} IS {facts.literal(mark)}"
    yield f"DROP SCHEMA {OWN_SCHEMA} CASCADE"


def _old_keys(expressions: Expressions) -> Iterator[str]:
    """Drops the keys of the tenants' tables, those that refer first, and others' keys to them that the plan lets go."""
    losing = [(one.table, one.key) for one in unsaid_keys(expressions) if one.key.kind == FOREIGN]
    own = [(table.name, key) for table in expressions.walled for key in expressions.shapes[table.name].keys]
    foreign = {(name, key.name) for name, key in [*losing, *own] if key.kind == FOREIGN}
    for name, key in sorted(foreign):
        if not key.startswith(PREFIX):
            yield f"ALTER TABLE {expressions.place(name)} DROP CONSTRAINT {quote(key)}"
    for name, one in own:
        if one.kind in (FOREIGN, INDEX) or one.name.startswith(PREFIX):
            continue
        schema = expressions.shapes[name].schema
        dropped = f"ALTER TABLE {expressions.place(name)} DROP CONSTRAINT {quote(one.name)}"
        yield dropped if one.constraint else f"DROP INDEX {quote(schema)}.{quote(one.name)}"
    for table in expressions.walled:
        for index in replaced_indexes(expressions, table):
            yield f"DROP INDEX {quote(expressions.shapes[table.name].schema)}.{quote(index)}"


def _columns(expressions: Expressions, table: Table) -> Iterator[str]:
    place, shape = expressions.place(table.name), expressions.shapes[table.name]
    yield f"ALTER TABLE {place} NO FORCE ROW LEVEL SECURITY"
    yield f"DROP TRIGGER {TRIGGER} ON {place}"
    yield f"DROP POLICY IF EXISTS {TRANSITION} ON {place}"
    for column in (column.name for column in shape.columns.values() if column.ours):
        yield f"ALTER TABLE {place} ALTER COLUMN {column} SET NOT NULL"
        yield f"COMMENT ON COLUMN {place}.{column} IS NULL"
    yield f"ALTER TABLE {place} DROP CONSTRAINT {GIVEN}"
    for name in retiring(expressions, table.name):
        yield f"ALTER TABLE {place} DROP COLUMN {quote(name)}"


def _new_keys(desk: Desk, expressions: Expressions, table: Table) -> Iterator[str]:
    for built in indexes(desk, expressions, table):
        yield built.final
    for built in [*foreign_keys(expressions, table), *checks(desk, expressions, table)]:
        yield built.final


def _numbers(desk: Desk, expressions: Expressions, table: Table) -> Iterator[str]:
    """Has PostgreSQL number a column by an identity, where the models do: the app login needs no right to that."""
    place = expressions.place(table.name)
    serial = {one.column: one for one in facts.numberings(desk, place)}
    for column in table.columns:
        found = serial.get(column.name)
        if column.identity is None or (found and found.identity):
            continue
        yield f"ALTER TABLE {place} ALTER COLUMN {quote(column.name)} DROP DEFAULT"
        if found:
            yield f"DROP SEQUENCE {found.sequence}"
        yield f"ALTER TABLE {place} ALTER COLUMN {quote(column.name)} ADD {_identity(column)}"
        highest = f"(SELECT coalesce(max({quote(column.name)}), 0) + 1 FROM {place})"
        own = f"pg_get_serial_sequence({facts.literal(place)}, {facts.literal(column.name)})"
        yield f"SELECT setval({own}, {highest}, false)"


def _identity(column: Column[object]) -> str:
    always = column.identity is not None and column.identity.always
    return f"GENERATED {'ALWAYS' if always else 'BY DEFAULT'} AS IDENTITY"


def _take_over(task: Task, desk: Desk, expressions: Expressions, table: Table) -> Iterator[str]:
    """Takes the rights of logins that have nothing to do with the walls: TRUNCATE goes past any policy."""
    relation, place = facts.relation(desk, expressions.place(table.name)), expressions.place(table.name)
    ours = {task.server.config.role(name) for name in ("owner", "app", "platform", "operator")}
    for grantee in sorted(set(relation.grantees) - ours):
        yield f"REVOKE ALL ON {place} FROM {quote(grantee)}"
    yield f"REVOKE ALL ON {place} FROM {quote(task.server.config.role('app'))}"
    yield f"ALTER TABLE {place} OWNER TO CURRENT_USER"


def _missing(task: Task, expressions: Expressions, capabilities: Capabilities) -> Iterator[str]:
    missing = [table for table in task.tables() if table.name not in expressions.shapes]
    yield from create_statements(task.server.metadata, missing, "postgresql")
    for table in missing:
        yield from table_statements(table, task.server.config, capabilities)


def _stamp(task: Task, desk: Desk) -> Iterator[str]:
    """Records that the home stands at the head of the scripts; what another history recorded there goes."""
    head = task.tenancy.scripts.head()
    if head is None:
        return
    place = f"{quote(task.schema)}.{VERSION_TABLE}"
    if desk.rows("select to_regclass(%s)", place)[0][0]:
        yield f"DROP TABLE {place}"
    yield from stamp_statements(head, closed_to=closed_roles(task.server.config))
    if task.tenant:
        yield from noting_statements(task.schema)
