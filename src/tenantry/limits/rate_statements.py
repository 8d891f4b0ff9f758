"""The table of the rates, and the statements that decide on it: one on PostgreSQL, two on SQLite."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    String,
    Table,
    and_,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from tenantry.isolation.short import Row, Short, Value
from tenantry.isolation.wall import quote
from tenantry.limits.rules import SECOND, Limit, Rule, State, step
from tenantry.models import TENANT_COLUMN
from tenantry.models.behaviours import Declares

# Room for a key of the application's, such as "vendor:3f2a…".
RESOURCE_LENGTH: Final = 200
_STATE: Final = ("used", "until", "seen", "granted")

_NOW: Final = f"CAST(extract(epoch FROM clock_timestamp()) * {SECOND} AS bigint)"
# Held is the row that stands, excluded the one a newcomer would get; the clock was read before the row was waited for,
# so it may have been passed meanwhile.
_SEEN: Final = "greatest(held.seen, excluded.seen)"
_TYPES: Final = {"window": "uuid, text, text, bigint, bigint, bigint", "bucket": "uuid, text, text, bigint, bigint"}
_NAMES: Final = (":tenant", ":resource", ":rule", ":weight", ":room", ":span")
_DECIDING: Final = """
INSERT INTO {table} AS held (tenant_id, resource, rule, used, until, seen, granted)
SELECT $1, $2, $3, {first_used}, {first_until}, clock.now, $4 <= $5
FROM (SELECT {now} AS now) AS clock
ON CONFLICT (tenant_id, resource, rule) DO UPDATE SET used = {used}, until = {until}, seen = {seen}, granted = {granted}
RETURNING used, until, seen, granted
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody asks for, or only looks at: so much of a resource that has this limit."""

    tenant: uuid.UUID
    resource: str
    rule: Rule
    cost: int = 1
    looking: bool = False

    @property
    def weight(self) -> int:
        """What the cost adds to the state; more than there is room for is refused all the same, and cannot overflow."""
        return self.rule.weight(min(self.cost, self.rule.capacity + 1))

    @property
    def values(self) -> tuple[Value, ...]:
        """The parameters of the statement that decides."""
        rule = self.rule
        values = (self.tenant, self.resource, rule.key, self.weight, rule.weight(rule.capacity))
        return (*values, rule.span) if isinstance(rule, Limit) else values


# Inside a bound transaction.
Executing = Session | Connection


def rates_table(models: Declares, name: str) -> Table:
    """Returns the table of the rates, added to the models."""
    return models.table(
        name,
        Column("resource", String(RESOURCE_LENGTH), primary_key=True),
        Column("rule", String(40), primary_key=True),
        Column("used", BigInteger, nullable=False),
        Column("until", BigInteger, nullable=False),
        Column("seen", BigInteger, nullable=False),
        Column("granted", Boolean, nullable=False),
        behaviour="Rates",
    )


class Statements:
    """Runs what decides, on either database, inside a transaction that somebody else ends."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._shorts = {kind: _short(table, kind) for kind in _TYPES}
        self._texts = {kind: text(short.written_out(_NAMES)) for kind, short in self._shorts.items()}

    def short(self, ask: Ask) -> Short:
        """Returns the one statement of PostgreSQL, for a transaction of its own."""
        return self._shorts[_kind(ask)]

    def decide(self, at: Executing, ask: Ask) -> State:
        """Returns the state after asking; where somebody only looks, it stays as it was."""
        if _on_postgresql(at) and not ask.looking:
            values = {name[1:]: value for name, value in zip(_NAMES, ask.values, strict=False)}
            return State(*at.execute(self._texts[_kind(ask)], values).one())
        held = self._held(at, ask)
        state = step(ask.rule, held, cost=ask.cost, now=_clock(at), looking=ask.looking)
        if not ask.looking:
            self._write(at, ask, state, new=held is None)
        return state

    def forget(self, at: Executing, ask: Ask) -> None:
        """Forgets what was used."""
        at.execute(delete(self._table).where(self._of(ask)))

    def prune(self, at: Executing, tenant: uuid.UUID) -> int:
        """Deletes the rows that say nothing any more, and returns how many they were."""
        columns, now = self._table.c, _clock(at)
        over = and_(columns[TENANT_COLUMN] == tenant, columns.until < now, columns.seen < now)
        gone: Any = at.execute(delete(self._table).where(over))
        return int(gone.rowcount)

    def _held(self, at: Executing, ask: Ask) -> State | None:
        columns = [self._table.c[name] for name in _STATE]
        row = at.execute(select(*columns).where(self._of(ask))).one_or_none()
        return None if row is None else State(*row)

    def _write(self, at: Executing, ask: Ask, state: State, *, new: bool) -> None:
        values = {name: getattr(state, name) for name in _STATE}
        if new:
            key = {TENANT_COLUMN: ask.tenant, "resource": ask.resource, "rule": ask.rule.key}
            at.execute(insert(self._table).values(**key, **values))
        else:
            at.execute(update(self._table).where(self._of(ask)).values(**values))

    def _of(self, ask: Ask) -> Any:
        columns = self._table.c
        key = (columns.resource == ask.resource, columns.rule == ask.rule.key)
        return and_(columns[TENANT_COLUMN] == ask.tenant, *key)


def read_row(row: Row) -> State:
    """Returns the state in a row as PostgreSQL writes it."""
    used, until, seen, granted = row
    return State(int(used or 0), int(until or 0), int(seen or 0), granted == b"t")


def _kind(ask: Ask) -> str:
    return "window" if isinstance(ask.rule, Limit) else "bucket"


def _on_postgresql(at: Executing) -> bool:
    bind = at.get_bind() if isinstance(at, Session) else at
    return bind.dialect.name == "postgresql"


def _clock(at: Executing) -> int:
    if not _on_postgresql(at):
        return time.time_ns() // 1000
    now: int = at.execute(text(f"SELECT {_NOW}")).scalar_one()
    return now


def _short(table: Table, kind: str) -> Short:
    parts = _window() if kind == "window" else _bucket()
    sql = _DECIDING.format(table=quote(table.name), now=_NOW, seen=_SEEN, **parts).strip()
    return Short(quote(f"tenantry_{table.name}_{kind}"), sql, _TYPES[kind])


def _window() -> dict[str, str]:
    current = f"CASE WHEN held.until > {_SEEN} THEN held.used ELSE 0 END"
    return {
        "first_used": "CASE WHEN $4 <= $5 THEN $4 ELSE 0 END",
        "first_until": "clock.now - clock.now % $6 + $6",
        "used": f"{current} + CASE WHEN {current} + $4 <= $5 THEN $4 ELSE 0 END",
        "until": f"CASE WHEN held.until > {_SEEN} THEN held.until ELSE excluded.until END",
        "granted": f"{current} + $4 <= $5",
    }


def _bucket() -> dict[str, str]:
    base = f"greatest(held.until, {_SEEN})"
    fits = f"{base} + $4 - {_SEEN} <= $5"
    return {
        "first_used": "0",
        "first_until": "clock.now + CASE WHEN $4 <= $5 THEN $4 ELSE 0 END",
        "used": "0",
        "until": f"{base} + CASE WHEN {fits} THEN $4 ELSE 0 END",
        "granted": fits,
    }
