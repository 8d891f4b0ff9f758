"""Alembic's operations in SQLite files: what ALTER TABLE cannot do makes the table anew, all in one transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from alembic.ddl.sqlite import SQLiteImpl
from alembic.operations import Operations
from alembic.operations.batch import ApplyBatchImpl, BatchOperationsImpl
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Computed, Constraint, DefaultClause, Table
from sqlalchemy.sql import ClauseElement

from tenantry.errors import OrphansFound, TenantColumnKept
from tenantry.fleet.operations.dialects import FileDialect
from tenantry.fleet.operations.implementing import HomeImpl
from tenantry.fleet.operations.references import References, orphans
from tenantry.fleet.operations.statements import Named
from tenantry.models import TENANT_COLUMN, Ownership
from tenantry.models.foreign_keys import is_lifted

# What Alembic does not carry over to the table that takes another's place.
_CARRIED: Final = (
    "SELECT i.sql FROM sqlite_master i WHERE i.tbl_name = ? AND i.sql IS NOT NULL AND (i.type = 'trigger' "
    "OR i.type = 'index' AND EXISTS (SELECT 1 FROM pragma_index_xinfo(i.name) x WHERE x.cid = -2))"
)
_TEMPORARY: Final = "_alembic_tmp_"


class SqliteHome(HomeImpl, SQLiteImpl):
    """A home in SQLite; while its operations run, every table bears its plain name and has no trigger of ours."""

    # Mapped[float] is FLOAT by SQLAlchemy 2.0 and DOUBLE by 2.1, and SQLite keeps the same either way.
    type_synonyms = (*SQLiteImpl.type_synonyms, {"FLOAT", "DOUBLE"})
    context: MigrationContext
    _waiting: Sequence[str] = ()

    @contextlib.contextmanager
    def taken_down(self) -> Iterator[None]:
        """Takes down what stands around the tables for a ``with`` block, and puts it up again at its end.

        Raises: OrphansFound where a row refers to none.
        """
        connection, stored = self.connection, self.site.stored
        assert connection is not None  # noqa: S101  # written SQL never comes here
        self.references.take_down(connection, stored=stored)
        yield
        self.references.put_up(connection, self.site.server.metadata, stored=stored)
        lost = orphans(connection)
        if lost:
            raise OrphansFound(home=str(self.site.home), found=_listing(lost))

    @property
    def references(self) -> References:
        """What triggers do for the keys of this file."""
        dialect = self.dialect
        return dialect.references if isinstance(dialect, FileDialect) else References()

    def wall(self, name: str) -> None:
        """Notes a walled table: its stored name and its triggers come at the end of the run."""
        self.known.note(name, Ownership.TENANT)

    def append_only(self, name: str, *, on: bool) -> None:
        """Notes whether a table is append-only: its triggers come at the end of the run."""
        (self.references.append_only.add if on else self.references.append_only.discard)(name)

    def search(self, name: str, *, on: bool) -> None:
        """Notes whether a table is searched: its index comes at the end of the run."""
        (self.references.searched.add if on else self.references.searched.discard)(name)

    @contextlib.contextmanager
    def unforced(self, tables: Iterable[Named]) -> Iterator[None]:
        """Changes nothing: the file has no policies."""
        yield

    connected_unforced = as_operator = unforced

    def counted(self, statement: Any, execution_options: dict[str, Any] | None) -> int:
        """Runs a statement and returns how many rows it changed, whatever it begins with."""
        # Before Python 3.12 sqlite3 counts nothing where a statement begins with WITH.
        before = self._total_changes()
        super().counted(statement, execution_options)
        return self._total_changes() - before

    def _total_changes(self) -> int:
        driver: Any = None if self.connection is None else self.connection.connection.driver_connection
        return 0 if driver is None else int(driver.total_changes)

    def requires_recreate_in_batch(self, batch_op: BatchOperationsImpl) -> bool:
        """Returns whether a batch makes its table anew; never one whose table is another home's."""
        if self._elsewhere([Named(batch_op.table_name, batch_op.schema)]):
            return False
        if super().requires_recreate_in_batch(batch_op):
            return True
        added = (arguments[1] for name, arguments, _ in batch_op.batch if name == "add_column")
        return any(map(_needs_new_table, added))

    def prep_table_for_batch(self, batch_impl: ApplyBatchImpl, table: Table) -> None:
        """Looks at the new table before it takes the old one's place.

        Raises: TenantColumnKept where the column that says whose a row is would go.
        """
        new = batch_impl.new_table
        if TENANT_COLUMN in table.c and new is not None and TENANT_COLUMN not in new.primary_key:
            raise TenantColumnKept(table=table.name)
        super().prep_table_for_batch(batch_impl, table)

    def add_column(self, table_name: str, column: Column[Any], *, schema: Any = None, **options: Any) -> None:
        """Adds a column, making the table anew where ALTER TABLE would refuse the column."""
        if _needs_new_table(column) and not self._elsewhere([Named(table_name, schema)]):
            self._anew("add_column", table_name, column, table=Named(table_name, schema))
        else:
            super().add_column(table_name, column, schema=None, **options)

    def drop_column(self, table_name: str, column: Column[Any], *, schema: Any = None, **options: Any) -> None:
        """Drops a column by making the table anew without it.

        Raises: TenantColumnKept for the one that says whose a row is.
        """
        self.keep_tenant_column(table_name, column.name, schema)
        self._anew("drop_column", table_name, column, table=Named(table_name, schema))

    def alter_column(self, table_name: str, column_name: str, **options: Any) -> None:
        """Changes a column: a name in place, anything else by making the table anew.

        Raises: TenantColumnKept for the one that says whose a row is.
        """
        table, name = Named(table_name, options.pop("schema", None)), options.pop("name", None)
        if name is not None or options.get("type_") is not None or options.get("nullable"):
            self.keep_tenant_column(*table[:1], column_name, table.schema)
        if _changes(options):
            self._anew("alter_column", table_name, column_name, table=table, **options)
        if name is not None and not self._elsewhere([table]):
            super().alter_column(table_name, column_name, name=name)
            self.references.rename_column(table_name, column_name, name)

    def add_constraint(self, const: Any, **options: Any) -> None:
        """Adds a constraint by making the table anew with it."""
        if const._create_rule is None:
            self._anew("add_constraint", const, table=Named(const.table.name, const.table.schema))

    def drop_constraint(self, const: Constraint, **options: Any) -> None:
        """Drops a constraint by making the table anew without it."""
        if const._create_rule is None:
            self._anew("drop_constraint", const, table=Named(const.table.name, const.table.schema))

    def _anew(self, operation: str, *arguments: Any, table: Named, **options: Any) -> None:
        if self._elsewhere([table]):
            return
        operations = Operations(self.context)
        with operations.batch_alter_table(table.name, schema=table.schema, recreate="always") as batch:
            getattr(batch.impl, operation)(*arguments, **options)

    def create_table(self, table: Table, **options: Any) -> None:
        """Makes a table and remembers what its keys ask for."""
        super().create_table(table, **options)
        for key in filter(is_lifted, table.foreign_key_constraints):
            self.references.note(table.name, key)

    def drop_table(self, table: Table, **options: Any) -> None:
        """Drops a table; what reflection cannot tell of it waits for the one that takes its place."""
        if self.connection is not None and not self.as_sql:
            self._waiting = [sql for (sql,) in self.connection.exec_driver_sql(_CARRIED, (table.name,))]
        super().drop_table(table, **options)

    def rename_table(self, old_table_name: str, new_table_name: Any, schema: Any = None) -> None:
        """Gives a table another name; its keys' actions go with it."""
        if self._elsewhere([Named(old_table_name, schema)]):
            return
        if old_table_name.startswith(_TEMPORARY):
            self._take_place(old_table_name, new_table_name)
        else:
            super().rename_table(old_table_name, new_table_name)
        self.references.rename_table(old_table_name, new_table_name)

    def _take_place(self, temporary: str, name: str) -> None:
        # Else SQLite would look at the triggers and views that speak of a table which is not there for the moment.
        self._exec("PRAGMA legacy_alter_table = ON")
        super().rename_table(temporary, name)
        self._exec("PRAGMA legacy_alter_table = OFF")
        for statement in self._waiting:
            self._exec(statement)


def _needs_new_table(column: Column[Any]) -> bool:
    """Returns whether SQLite's ADD COLUMN refuses a column: a default it must compute, or no null and no default."""
    default = column.server_default
    if isinstance(default, Computed):
        return bool(default.persisted)
    if isinstance(default, DefaultClause):
        return isinstance(default.arg, ClauseElement)
    return not column.nullable or column.primary_key


def _changes(options: dict[str, Any]) -> bool:
    given = options.get("nullable") is not None or options.get("type_") is not None
    return given or options.get("server_default", False) is not False


def _listing(lost: Any) -> str:
    return ", ".join(f"{count} in {table} (to {parent})" for (table, parent), count in sorted(lost.items()))
