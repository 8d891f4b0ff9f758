"""A PostgreSQL database on its way: what each stage does, and what takes it back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from tenantry.fleet.adopting import postgres_facts as facts
from tenantry.fleet.adopting.desk import Desk
from tenantry.fleet.adopting.ground import Look
from tenantry.fleet.adopting.postgres_enforcing import enforce, is_enforced, unprepare
from tenantry.fleet.adopting.postgres_filling import fill, refill
from tenantry.fleet.adopting.postgres_filtering import filter_rows, is_filtered, lock_all, tenants
from tenantry.fleet.adopting.postgres_looking import look
from tenantry.fleet.adopting.shapes import NEW_ID, NEW_TENANT
from tenantry.fleet.adopting.stages import Stage
from tenantry.fleet.adopting.task import Task


@dataclass(frozen=True)
class PostgresGround:
    """One database of a PostgreSQL server that is being adopted."""

    task: Task

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.task.name

    def look(self) -> AbstractContextManager[Look]:
        """Opens the database to be read; nothing is left behind."""
        return look(self.task)

    def fill(self) -> None:
        """Gives every row its tenant, and sees to it that new rows get theirs."""
        fill(self.task)

    def refill(self) -> None:
        """Does so again for rows that have none, or another than they say, and for tenants that have come since."""
        refill(self.task)
        with self.task.desk() as desk:
            if is_filtered(self.task.expressions(desk)):
                self.task.register.open(tenants(desk))

    def filter(self) -> None:
        """Lets tenants' sessions in beside the old application."""
        filter_rows(self.task)

    def enforce(self) -> None:
        """Puts up keys and wall for everybody."""
        enforce(self.task)

    @property
    def bears(self) -> frozenset[str]:
        """The codes of what rows may be at fault in before stage enforce: new keys stand no sooner."""
        return frozenset({"A103", "A104", "A106", "A107", "A110", "A113"})

    @property
    def is_enforced(self) -> bool:
        """Whether keys and wall are up, whatever was noted of it."""
        with self.task.desk() as desk:
            return is_enforced(self.task, desk)

    def undo(self, stage: Stage) -> None:
        """Takes back what *stage* did, whole or half."""
        with self.task.desk() as desk:
            if not facts.is_begun(desk):
                return
            self.task.step("undo", stage=stage.value)
            _UNDOING[stage](self.task, desk)


def _undo_filter(task: Task, desk: Desk) -> None:
    task.register.close(tenants(desk))
    expressions = task.expressions(desk)
    if is_filtered(expressions):
        undoing = desk.rows(f"SELECT statement FROM {facts.UNDOING} ORDER BY position DESC")
        undo = [statement for (statement,) in undoing]
        desk.run([lock_all(task, expressions), *undo, f"DELETE FROM {facts.UNDOING}"])
    task.server.forget_check()


def _undo_fill(task: Task, desk: Desk) -> None:
    task.register.forget(tenants(desk, made=True))
    expressions = task.expressions(desk)
    statements: list[str] = []
    for table in expressions.walled:
        place, shape = expressions.place(table.name), expressions.shapes[table.name]
        statements.append(f"DROP TRIGGER IF EXISTS {facts.TRIGGER} ON {place}")
        ours = [name for name in (NEW_TENANT, NEW_ID) if shape.has_ours(name)]
        statements += [f"ALTER TABLE {place} DROP COLUMN {name}" for name in ours]
    desk.run([*statements, f"DROP SCHEMA {facts.OWN_SCHEMA} CASCADE"])


_UNDOING = {Stage.ENFORCE: unprepare, Stage.FILTER: _undo_filter, Stage.FILL: _undo_fill}
