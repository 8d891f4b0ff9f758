"""What is looked at in a PostgreSQL database before it is taken over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Table, select

from tenantry.fleet.adopting import postgres_facts as facts
from tenantry.fleet.adopting.desk import Desk
from tenantry.fleet.adopting.expressions import Expressions
from tenantry.fleet.adopting.task import Task
from tenantry.isolation.wall import POLICY, quote
from tenantry.models import SHARED_SCHEMA, Ownership, is_walled, ownership
from tenantry.types import Finding

_ORDINARY: Final = "r"


class PostgresLook:
    """One database, open in a transaction that leaves nothing behind."""

    def __init__(self, task: Task, desk: Desk, expressions: Expressions) -> None:
        self.expressions = expressions
        self._task = task
        self._desk = desk

    def rows(self, question: str) -> Sequence[tuple[Any, ...]]:
        """Returns the answer to a question."""
        return self._desk.rows(question)

    @property
    def mapping(self) -> str:
        """The table that leads from what rows say to tenants."""
        return facts.MAPPING if facts.is_begun(self._desk) else ""

    def findings(self) -> list[Finding]:
        """Returns what stands in the way in PostgreSQL alone."""
        found = [finding for table in self._standing() for finding in self._judge(table)]
        return [*found, *self._judge_shared()]

    def notes(self) -> list[Finding]:
        """Returns what is worth knowing of PostgreSQL alone."""
        return [finding for table in self._standing() for finding in self._remark(table)]

    def _standing(self) -> list[Table]:
        return [table for table in self._task.tables() if table.name in self.expressions.shapes]

    def _judge(self, table: Table) -> Iterator[Finding]:
        relation = facts.relation(self._desk, self.expressions.place(table.name))
        if relation.kind != _ORDINARY:
            fix = "Make it an ordinary table first, or leave it out of the models."
            yield Finding("A114", table.name, "The table is partitioned or foreign, and cannot be adopted.", fix)
        if not relation.ours:
            fix = f"ALTER TABLE {table.name} OWNER TO the owner's login, or give owner_url the login {relation.owner}."
            yield Finding("A111", table.name, f"The table belongs to {relation.owner}, not to the owner's login.", fix)
        column = table.autoincrement_column
        unnumbered = column is not None and column.identity is None and not is_walled(table)
        if column is not None and unnumbered and not self._has_sequence(table, column.name):
            message = f"The models number {column.name} by a sequence that is not there."
            yield Finding("A116", table.name, message, f"Declare {column.name} with autoincrement=False.")

    def _has_sequence(self, table: Table, column: str) -> bool:
        schema = self.expressions.shapes[table.name].schema
        wanted = f"{quote(schema)}.{quote(f'{table.name}_{column}_seq')}"
        return bool(self._desk.rows("select to_regclass(%s)", wanted)[0][0])

    def _judge_shared(self) -> Iterator[Finding]:
        for table in self._task.tables(Ownership.SHARED):
            shape = self.expressions.shapes.get(table.name)
            if shape is None:
                continue
            twice = f"{quote(self._task.schema)}.{quote(table.name)}"
            kind = "select relkind::text from pg_class where oid = to_regclass(%s)"
            if shape.schema == SHARED_SCHEMA and self._desk.rows(kind, twice) == [(_ORDINARY,)]:
                message = f"The table stands both in {SHARED_SCHEMA} and in {self._task.schema}."
                yield Finding("A117", table.name, message, f"Drop the one in {SHARED_SCHEMA} if it is empty.")
            elif self._task.tenant and (unknown := self._unknown(table)):
                message = f"{unknown} row(s) do not stand in the platform's table, so publishing would remove them."
                yield Finding("A112", table.name, message, "Add them to the platform's, or make the table TenantOwned.")

    def _unknown(self, table: Table) -> int:
        key = [column.name for column in table.primary_key]
        place = self.expressions.place(table.name)
        with self._task.server.owner_connection() as connection:
            known = {tuple(row) for row in connection.execute(select(*table.primary_key))}
        return len({tuple(row) for row in self.rows(f"SELECT {facts.names(key)} FROM {place}")} - known)

    def _remark(self, table: Table) -> Iterator[Finding]:
        place = self.expressions.place(table.name)
        relation = facts.relation(self._desk, place)
        ours = {self._task.server.config.role(name) for name in ("owner", "app", "platform", "operator")}
        losing = sorted(set(relation.grantees) - ours)
        if losing or relation.public:
            who = ", ".join([*losing, *(["PUBLIC"] if relation.public else [])])
            message = f"{who} will have no rights on it any more after stage enforce."
            yield Finding("A204", table.name, message, "Have their programs open tenants' sessions before.")
        if relation.on_update and is_walled(table):
            message = f"Its triggers {', '.join(relation.on_update)} will fire for every row in stage fill."
            yield Finding("A205", table.name, message, "Nothing need be done where that does no harm.")
        for policy in facts.policies(self._desk, place):
            if policy.name != POLICY and ownership(table) is not None:
                message = f"Its policy {policy.name} goes in stage filter."
                yield Finding("A206", table.name, message, "The old application must have ended by then.")
        if relation.views and is_walled(table):
            message = f"The views {', '.join(relation.views)} read it with the rights of their owner."
            yield Finding("A207", table.name, message, "Make them security_invoker, or drop them, before enforce.")


@contextlib.contextmanager
def look(task: Task) -> Iterator[PostgresLook]:
    """Opens a database to be looked at. Tables whose policies hide rows from their owner are locked meanwhile."""
    with task.desk() as desk:
        expressions = task.expressions(desk)
        before, _ = facts.unforcing(facts.forced(desk, [expressions.place(one.name) for one in expressions.walled]))
        with desk.undone(before):
            yield PostgresLook(task, desk, expressions)
