"""A SQLite file on its way: its rows are copied to where tenants live, and kept up to date until the change-over.

SQLite has no stage in which old and new application share tables: tenants' sessions open files of their own, or a
common file behind its wall. So stage fill copies while the old application goes on writing, stage filter brings the
copies up to date, and stage enforce closes the old file, copies what was written since, and opens the tenants.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from tenantry.catalog import adopting as catalog
from tenantry.errors import AdoptionRefused
from tenantry.fleet.adopting import observing
from tenantry.fleet.adopting.desk import ACTION
from tenantry.fleet.adopting.expressions import EVERYTHING, SAYS, Expressions
from tenantry.fleet.adopting.ground import Look
from tenantry.fleet.adopting.plans import Plan
from tenantry.fleet.adopting.registering import Known, Register
from tenantry.fleet.adopting.sqlite_copying import Copier
from tenantry.fleet.adopting.sqlite_files import MAPPING, OldFile, rows_of, transaction
from tenantry.fleet.adopting.stages import Stage
from tenantry.isolation.sqlite import PLATFORM, SqliteServer
from tenantry.isolation.sqlite_stored import quote
from tenantry.models import Ownership, owned_tables
from tenantry.tenancy import Tenancy
from tenantry.types import Finding, Isolation, Tenant


class SqliteLook:
    """One file, open in a transaction that reads."""

    def __init__(self, ground: SqliteGround, connection: sqlite3.Connection, expressions: Expressions) -> None:
        self.expressions = expressions
        self._ground = ground
        self._connection = connection

    def rows(self, question: str) -> Sequence[tuple[Any, ...]]:
        """Returns the answer to a question."""
        return rows_of(self._connection, question)

    @property
    def mapping(self) -> str:
        """The table that leads from what rows say to tenants."""
        return MAPPING if self._ground.old.is_begun else ""

    def findings(self) -> list[Finding]:
        """Returns what stands in the way in SQLite alone."""
        tables = owned_tables(self._ground.server.metadata, Ownership.PLATFORM, Ownership.SHARED)
        if self._ground.tenant:
            return [finding for table in tables for finding in self._judge_shared(table)]
        if self._ground.old.is_begun or self._ground.old.is_closed:
            return []
        with self._ground.server.connection(PLATFORM) as connection:
            held = [table for table in tables if connection.scalar(select(func.count()).select_from(table))]
        fix = "Adopt into an empty installation, or give each of several files to a tenant of its own: Single(…)."
        return [Finding("A119", table.name, "The platform's table holds rows already.", fix) for table in held]

    def notes(self) -> list[Finding]:
        """Returns what is worth knowing of SQLite alone."""
        message = "Sessions open with stage enforce: until then the rows are copied, and the old file stays in use."
        return [Finding("A208", str(self._ground.old.path), message, "Nothing need be done.")]

    def _judge_shared(self, table: Any) -> Iterator[Finding]:
        if table.name not in self.expressions.shapes or table.schema is None:
            return
        with self._ground.server.connection(PLATFORM) as connection:
            known = {tuple(row) for row in connection.execute(select(*table.primary_key))}
        columns = ", ".join(quote(column.name) for column in table.primary_key)
        unknown = {tuple(row) for row in self.rows(f"SELECT {columns} FROM {quote(table.name)}")} - known
        if unknown:
            message = f"{len(unknown)} row(s) do not stand in the platform's table, which tenants read."
            yield Finding("A112", table.name, message, "Add them to the platform's, or make the table TenantOwned.")


class SqliteGround:
    """One SQLite file that is being adopted."""

    def __init__(
        self,
        tenancy: Tenancy,
        plan: Plan,
        server: SqliteServer,
        *,
        path: Path,
        tenant: Tenant | None,
        register: Register,
        say: Callable[..., None],
    ) -> None:
        self.server = server
        self.tenant = tenant
        self.old = OldFile(path, plan=plan, metadata=server.metadata)
        self._tenancy = tenancy
        self._register = register
        self._say = say

    @property
    def name(self) -> str:
        """What errors call it."""
        return str(self.old.path)

    @property
    def bears(self) -> frozenset[str]:
        """The codes of what rows may be at fault in before stage enforce: copies have the new keys from the start."""
        return frozenset({"A103"})

    @property
    def is_enforced(self) -> bool:
        """Whether the old file is closed and its tenants are open, whatever was noted of it."""
        return self.old.is_closed and not self.old.is_begun

    def look(self) -> AbstractContextManager[Look]:
        """Opens the file to be read; nothing is left behind."""
        return self._look()

    def fill(self) -> None:
        """Copies every tenant's rows, and has the file note what is written from now on."""
        self._say("begin")
        self.old.begin()
        self._bring_up_to_date()

    def refill(self) -> None:
        """Brings the copies up to date."""
        self._bring_up_to_date()

    def filter(self) -> None:
        """Brings the copies up to date once more; sessions open with stage enforce."""
        self._bring_up_to_date()

    def enforce(self) -> None:
        """Closes the old file, copies what was written since, compares, and opens the tenants."""
        if not self.is_enforced:
            self._say("close")
            self.old.close()
            self._bring_up_to_date()
            self._say("compare")
            if self._copier.mark_differing():
                self._copier.copy_stale()
            self._refuse_leftovers()
            self._say("open")
            self._place()
            self._register.open(self.old.tenants())
            self._say("forget")
            self.old.forget()

    def undo(self, stage: Stage) -> None:
        """Takes back what *stage* did, whole or half."""
        if not self.old.is_begun:
            return
        self._say("undo", stage=stage.value)
        if stage is Stage.ENFORCE:
            self._register.close(self.old.tenants())
            self.old.reopen()
        elif stage is Stage.FILL:
            for tenant in self.old.tenants():
                self._copier.remove(tenant)
            if self.tenant is None:
                self._copier.clear_platform()
            self._register.forget(self.old.tenants(made=True))
            self.old.forget()

    @cached_property
    def _copier(self) -> Copier:
        return Copier(
            old=self.old,
            servers=self._tenancy.servers,
            server=self.server,
            isolation=Isolation.DATABASE if self.tenant else self._register.isolation,
            head=self._tenancy.scripts.head(),
            say=self._say,
        )

    @contextlib.contextmanager
    def _look(self) -> Iterator[SqliteLook]:
        expressions = self.old.expressions()
        with self.old.opened() as connection, transaction(connection):
            yield SqliteLook(self, connection, expressions)

    def _bring_up_to_date(self) -> None:
        self._enter_tenants()
        if self.tenant is None:
            self._copier.copy_platform()
        self._copier.copy_stale()

    def _enter_tenants(self) -> None:
        if self.tenant:
            self.old.enter(EVERYTHING, self.tenant.id, made=False)
            return
        self._say("tenants")
        noted = f"SELECT 1 FROM {MAPPING} AS m WHERE m.value = f.{SAYS}"
        question = f"SELECT * FROM {self.old.expressions().found()} AS f WHERE NOT EXISTS ({noted}) ORDER BY 1"
        with self.old.opened() as connection:
            known = [Known(*row) for row in rows_of(connection, question)]
        for entered in self._register.enter(known):
            self.old.enter(entered.value, entered.tenant, made=entered.made)

    def _refuse_leftovers(self) -> None:
        """Opens the old file again where rows would be left behind in it."""
        with self._look() as look:
            findings = observing.judge(look)
        if findings:
            self.old.reopen()
            raise AdoptionRefused(stage=Stage.ENFORCE.value, findings=findings)

    def _place(self) -> None:
        """Notes that the rows of a tenant, which was registered where its old file is, live in a file of ours."""
        if self.tenant:
            physical = self._tenancy.servers.strategy(self.server.name, Isolation.DATABASE).place(self.tenant.id)
            with self._tenancy.catalog(ACTION) as connection:
                catalog.move_placement(connection, self.tenant.id, physical)
