"""Stage fill on PostgreSQL: a column beside the others, a trigger that keeps it filled, and the rows in batches."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Table

from tenantry.fleet.adopting.desk import Around, Desk
from tenantry.fleet.adopting.expressions import EVERYTHING, HAS, SAYS, Expressions
from tenantry.fleet.adopting.plans import Value
from tenantry.fleet.adopting.postgres_facts import (
    MAPPING,
    OWN_SCHEMA,
    PREFIX,
    TRIGGER,
    UNDOING,
    dollar,
    forced,
    literal,
    names,
    unforcing,
)
from tenantry.fleet.adopting.registering import Known
from tenantry.fleet.adopting.shapes import NEW_ID, NEW_TENANT, OURS, REPLACED, Shape
from tenantry.fleet.adopting.task import Task
from tenantry.isolation.wall import quote
from tenantry.models import Ownership, ownership


def fill(task: Task) -> None:
    """Gives every row its tenant; what a crash left is taken up again."""
    with task.desk() as desk:
        task.step("begin")
        desk.run(_beginning())
        before = task.expressions(desk)
        enter_tenants(task, desk, before)
        for table in before.walled:
            task.step("column", table=table.name)
            desk.run(_columns(before, table))
        expressions = task.expressions(desk)
        for table in expressions.walled:
            task.step("trigger", table=table.name)
            desk.run([function(task, expressions, table.name), *_trigger(expressions, table.name)])
        _walk_all(task, desk, expressions)


def refill(task: Task) -> None:
    """Enters tenants that have come since, and gives the rows their tenant that have none, or another than they say."""
    with task.desk() as desk:
        expressions = task.expressions(desk)
        enter_tenants(task, desk, expressions)
        _walk_all(task, desk, expressions)
        for table in expressions.walled:
            if _differing(desk, expressions, table.name):
                _walk(task, desk, expressions, table.name, empty_only=False)


def enter_tenants(task: Task, desk: Desk, expressions: Expressions) -> None:
    """Enters in the catalog what tenants the rows speak of, and notes which is which."""
    noting = f"INSERT INTO {MAPPING} VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
    if task.tenant:
        desk.change(noting, EVERYTHING, task.tenant.id, False)
        return
    task.step("tenants")
    noted = f"EXISTS (SELECT 1 FROM {MAPPING} AS m WHERE m.value = f.{SAYS})"
    new = f"SELECT * FROM {expressions.found()} AS f WHERE NOT {noted} ORDER BY 1"
    around = unforcing(forced(desk, [expressions.place(table.name) for table in expressions.walled]))
    for entered in task.register.enter([Known(*row) for row in desk.seeing(around, new)]):
        desk.change(noting, entered.value, entered.tenant, entered.made)


def function(task: Task, expressions: Expressions, name: str) -> str:
    """Returns what makes the function that gives a row its tenant as it is written."""
    body = _body(expressions, name)
    return (
        f"CREATE OR REPLACE FUNCTION {_function_name(name)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path = {quote(task.schema)}, pg_temp AS {dollar(body)}"
    )


def retiring(expressions: Expressions, name: str) -> list[str]:
    """Returns the columns, by what they are called now, that go in stage enforce."""
    shape, losing = expressions.shapes[name], expressions.plan.losing
    lost = [now for then, now in shape.then.items() if f"{name}.{then}" in losing]
    replaced = [column.name for column in shape.columns.values() if column.comment.startswith(REPLACED)]
    return [*lost, *replaced]


def _beginning() -> list[str]:
    return [
        f"CREATE SCHEMA IF NOT EXISTS {OWN_SCHEMA}",
        f"CREATE TABLE IF NOT EXISTS {MAPPING} (value text PRIMARY KEY, tenant uuid NOT NULL UNIQUE, made boolean)",
        f"CREATE TABLE IF NOT EXISTS {UNDOING} (position bigint GENERATED ALWAYS AS IDENTITY, statement text)",
    ]


def _columns(expressions: Expressions, table: Table) -> list[str]:
    if expressions.given(table.name):
        return []
    place, statements = expressions.place(table.name), []
    for column in [NEW_TENANT, *([NEW_ID] if ownership(table) is Ownership.RECORD else [])]:
        statements.append(f"ALTER TABLE {place} ADD COLUMN {column} uuid")
        statements.append(f"COMMENT ON COLUMN {place}.{column} IS {literal(OURS)}")
    return statements


def _trigger(expressions: Expressions, name: str) -> list[str]:
    place = expressions.place(name)
    return [
        f"DROP TRIGGER IF EXISTS {TRIGGER} ON {place}",
        f"CREATE TRIGGER {TRIGGER} BEFORE INSERT OR UPDATE ON {place} "
        f"FOR EACH ROW EXECUTE FUNCTION {_function_name(name)}()",
    ]


def _function_name(name: str) -> str:
    return f"{OWN_SCHEMA}.{quote(f'{PREFIX}{name}'[:63])}"


def _body(expressions: Expressions, name: str) -> str:
    shape, given = expressions.shapes[name], quote(expressions.given(name))
    row = ", ".join(f"NEW.{quote(now)} AS {quote(then)}" for then, now in shape.then.items())
    sets = f"NEW.{given} := tenantry_found;" + _set_record_id(shape, given)
    # A statement that names the tenant itself means it.
    named = f"(TG_OP = 'INSERT' AND NEW.{given} IS NOT NULL)"
    moved = f"(TG_OP = 'UPDATE' AND NEW.{given} IS DISTINCT FROM OLD.{given})"
    return f"""
DECLARE tenantry_said text; tenantry_found uuid;
BEGIN
    IF NOT ({named} OR {moved}) THEN
        SELECT {expressions.says(name)} INTO tenantry_said FROM (SELECT {row}) AS r;
        SELECT m.tenant INTO tenantry_found FROM {MAPPING} AS m WHERE m.value = tenantry_said;
        IF tenantry_found IS NOT NULL THEN {sets} END IF;
    END IF;
    {_fill_back(expressions, name, given)}
    RETURN NEW;
END
"""


def _set_record_id(shape: Shape, given: str) -> str:
    ours = [column.name for column in shape.columns.values() if column.ours and quote(column.name) != given]
    return "".join(f" NEW.{quote(column)} := NEW.{given};" for column in ours)


def _fill_back(expressions: Expressions, name: str, given: str) -> str:
    """Keeps the old application's own column right in rows of the new one, until it goes."""
    shape, rule = expressions.shapes[name], None if expressions.whole else expressions.rule(name)
    if not isinstance(rule, Value):
        return ""
    column = shape.then.get(rule.sql.strip().removeprefix("r."))
    if column is None or column not in retiring(expressions, name):
        return ""
    own, kind = quote(column), shape.columns[column].type
    value = f"SELECT CAST(m.value AS {kind}) INTO NEW.{own} FROM {MAPPING} AS m WHERE m.tenant = NEW.{given};"
    return f"IF NEW.{own} IS NULL THEN {value} END IF;"


def _differing(desk: Desk, expressions: Expressions, name: str) -> bool:
    said = expressions.said(name)
    question = f"SELECT 1 FROM {said} AS q JOIN {MAPPING} AS m ON m.value = q.{SAYS} WHERE m.tenant <> q.{HAS} LIMIT 1"
    return bool(desk.seeing(_around(desk, expressions, name), question))


def _around(desk: Desk, expressions: Expressions, name: str) -> Around:
    return unforcing(forced(desk, [expressions.place(name)]))


def _walk_all(task: Task, desk: Desk, expressions: Expressions) -> None:
    for table in expressions.walled:
        _walk(task, desk, expressions, table.name, empty_only=True)


def _walk(task: Task, desk: Desk, expressions: Expressions, name: str, *, empty_only: bool) -> None:
    """Has the trigger give the rows of a table their tenant, a batch at a time in the order of the key."""
    place, given = expressions.place(name), quote(expressions.given(name))
    key, around = expressions.shapes[name].primary, _around(desk, expressions, name)
    total = desk.seeing(around, f"SELECT count(*) FROM {place}")[0][0]
    touch = f"UPDATE {place} SET {given} = {given} WHERE {f'{given} IS NULL' if empty_only else 'true'}"
    last: Sequence[object] | None = None
    done = 0
    while True:
        bound = _bound(desk, around, place, key, last, size=task.batch)
        done = total if bound is None else min(done + task.batch, total)
        task.step("batch", table=name, done=done, total=total)
        after = f" AND {_compared(key, '>')}" if last is not None else ""
        until = f" AND {_compared(key, '<=')}" if bound is not None else ""
        desk.change(touch + after + until, *(last or ()), *(bound or ()), around=around)
        if bound is None:
            return
        last = bound


def _bound(
    desk: Desk, around: Around, place: str, key: Sequence[str], last: Sequence[object] | None, *, size: int
) -> Sequence[object] | None:
    """Returns the key of the last row of the next batch; None for all that is left."""
    if not key:
        return None
    after = f"WHERE {_compared(key, '>')}" if last is not None else ""
    question = f"SELECT {names(key)} FROM {place} {after} ORDER BY {names(key)} OFFSET {size - 1} LIMIT 1"
    found = desk.seeing(around, question, *(last or ()))
    return found[0] if found else None


def _compared(key: Sequence[str], sign: str) -> str:
    return f"({names(key)}) {sign} ({', '.join(['%s'] * len(key))})"
