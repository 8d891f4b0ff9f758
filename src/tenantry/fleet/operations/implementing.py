"""What Alembic's operations do in any home of ours: the same, lifted, and only where their table stands."""

from __future__ import annotations

import contextlib
import re
from abc import ABCMeta, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from alembic.ddl.impl import DefaultImpl, ImplMeta
from alembic.util import CommandError
from sqlalchemy import Column, Constraint, ForeignKeyConstraint, Index, Table, TextClause, insert, literal, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.sql import Executable
from sqlalchemy.types import NullType

from tenantry.errors import TenantColumnKept
from tenantry.fleet.operations.known import Known
from tenantry.fleet.operations.lifting import (
    is_shaped_walled,
    lift_new_table,
    lifted_constraint,
    lifted_index,
    referred_name,
)
from tenantry.fleet.operations.statements import Named, checked, data_mark, defined, separate, written
from tenantry.fleet.sites import SITE, Site
from tenantry.models import TENANT_COLUMN, Ownership
from tenantry.models.indexes import is_of_vectors

# What text() would take for the name of a value.
_COLON: Final = re.compile(r"(?<![:\w\\]):(?=\w)")


class _AbstractImpl(ImplMeta, ABCMeta):
    """Alembic's way of noting an implementation, for one that is made for its heirs alone."""


class HomeImpl(DefaultImpl, metaclass=_AbstractImpl):
    """Alembic's operations in one home; what the kinds of database do differently is left to the two below."""

    def __init__(self, dialect: Any, connection: Any, as_sql: bool, *rest: Any) -> None:
        super().__init__(dialect, connection, as_sql, *rest)
        self.site: Site = self.context_opts[SITE]
        self.known = Known(self.site, None if as_sql else connection)
        # How many rows the data steps touched, by table.
        self.touched: Counter[str] = Counter()

    @abstractmethod
    def wall(self, name: str) -> None:
        """Puts the wall before a table of the home."""

    @abstractmethod
    def append_only(self, name: str, *, on: bool) -> None:
        """Keeps the rows of a walled table as they are from now on, or no longer."""

    @abstractmethod
    def search(self, name: str, *, on: bool) -> None:
        """Gives a walled table what its search needs, or takes it away."""

    @abstractmethod
    def unforced(self, tables: Iterable[Named]) -> contextlib.AbstractContextManager[None]:
        """Lets the owner see every row of *tables* for a ``with`` block, so that foreign keys are checked on all."""

    @abstractmethod
    def connected_unforced(self, tables: Iterable[Named]) -> contextlib.AbstractContextManager[None]:
        """Does the same for every table that keys connect with *tables*."""

    @abstractmethod
    def as_operator(self, tables: Iterable[Named]) -> contextlib.AbstractContextManager[None]:
        """Runs a ``with`` block as one who sees every tenant's rows, where any of *tables* is walled."""

    def counted(self, statement: Any, execution_options: dict[str, Any] | None) -> int:
        """Runs a statement and returns how many rows it changed."""
        # SQLAlchemy forgets the count of an INSERT unless it is asked to keep it.
        result = self._exec(statement, {**(execution_options or {}), "preserve_rowcount": True})
        return 0 if result is None else max(result.rowcount, 0)

    def _exec(self, construct: Any, *arguments: Any, **options: Any) -> Any:
        return super()._exec(_construct(construct, written=self.as_sql), *arguments, **options)

    def execute(self, sql: Executable | str, execution_options: dict[str, Any] | None = None) -> None:
        """Runs a statement; one that changes tenants' rows as the operator, counted."""
        for statement in separate(sql):
            tables = written(statement)
            if any(self.known.walled(*table) is not False for table in tables):
                self.change(statement, tables, execution_options)
            elif not self._elsewhere(tables or _listed(defined(statement))):
                found = checked(statement)
                # What a text validates or retypes may have keys that it does not name.
                with self.connected_unforced(found[:1]), self.unforced(found[1:]):
                    self._exec(statement, execution_options)

    def change(
        self, statement: Any, tables: list[Named], execution_options: dict[str, Any] | None = None
    ) -> int | None:
        """Runs one data step as the operator and returns how many rows it touched; None where it is only written."""
        if self._elsewhere(tables):
            return 0
        title = tables[0].name if tables else "data"
        with self.as_operator(tables):
            if self.as_sql:
                self._write_change(statement, title)
                return None
            touched = self.counted(statement, execution_options)
        self.touched[title] += touched
        return touched

    def rows(self, statement: Any) -> Sequence[Any]:
        """Returns the rows of every tenant that a question finds.

        Raises: CommandError where SQL is only written.
        """
        if self.as_sql:
            raise CommandError("op.rows() asks the database, so its revision cannot be written as SQL.")
        with self.as_operator([]):
            found: Sequence[Any] = self._exec(statement).all()
        return found

    def bulk_insert(self, table: Any, rows: list[dict[str, Any]], multiinsert: bool = True) -> None:
        """Inserts rows, as the operator where they are tenants'."""
        name = Named(table.name, getattr(table, "schema", None))
        if self._elsewhere([name]):
            return
        if self.known.walled(*name) is False:
            super().bulk_insert(table, rows, multiinsert)
            return
        with self.as_operator([name]):
            if not self.as_sql:
                super().bulk_insert(table, rows, multiinsert)
                self.touched[name.name] += len(rows)
                return
            for row in rows:
                self._write_change(insert(table).values(_typed(table, row)), name.name)

    def create_table(self, table: Table, **options: Any) -> None:
        """Makes a table where it belongs; one with a tenant column is lifted and walled."""
        owner = Ownership.TENANT if is_shaped_walled(table) else self.known.ownership(table.name, table.schema)
        if owner is not None and owner not in self.site.holds:
            return
        if owner is not None and owner.walled:
            lift_new_table(table, self.known)
        super().create_table(table, **options)
        if table.schema is None:
            self.known.note(table.name, owner)
        if owner is not None and owner.walled:
            self.wall(table.name)

    def drop_table(self, table: Table, **options: Any) -> None:
        """Drops a table where it stands."""
        if self._elsewhere([_name_of(table)]):
            return
        super().drop_table(table, **options)
        if table.schema is None:
            self.known.note(table.name, None)

    def rename_table(self, old_table_name: str, new_table_name: Any, schema: Any = None) -> None:
        """Gives a table another name; its wall goes with it."""
        if self._elsewhere([Named(old_table_name, schema)]):
            return
        super().rename_table(old_table_name, new_table_name, schema)
        if schema is None:
            self.known.renamed(old_table_name, new_table_name)

    def add_column(self, table_name: str, column: Column[Any], *, schema: Any = None, **options: Any) -> None:
        """Adds a column."""
        if not self._elsewhere([Named(table_name, schema)]):
            super().add_column(table_name, column, schema=schema, **options)

    def drop_column(self, table_name: str, column: Column[Any], *, schema: Any = None, **options: Any) -> None:
        """Drops a column.

        Raises: TenantColumnKept for the one that says whose a row is.
        """
        self.keep_tenant_column(table_name, column.name, schema)
        if not self._elsewhere([Named(table_name, schema)]):
            super().drop_column(table_name, column, schema=schema, **options)

    def keep_tenant_column(self, table_name: str, column_name: str, schema: str | None) -> None:
        """Lets a change of a column pass unless the wall stands on it.

        Raises: TenantColumnKept.
        """
        if column_name == TENANT_COLUMN and self.known.walled(table_name, schema) is not False:
            raise TenantColumnKept(table=table_name)

    def add_constraint(self, const: Any, **options: Any) -> None:
        """Adds a constraint, lifted; a foreign key is checked on every tenant's rows."""
        table = _name_of(const.table)
        if self._elsewhere([table]):
            return
        lifted = lifted_constraint(const, self.known)
        with self.unforced(_ends(lifted)):
            super().add_constraint(lifted, **options)

    def drop_constraint(self, const: Constraint, **options: Any) -> None:
        """Drops a constraint."""
        if not self._elsewhere([_name_of(const.table)]):
            super().drop_constraint(const, **options)

    def create_index(self, index: Index, **options: Any) -> None:
        """Makes an index, lifted."""
        if not self._elsewhere(_listed(index.table)) and not self._has_no_such(index):
            super().create_index(lifted_index(index, self.known, everywhere=self.site.stored), **options)

    def drop_index(self, index: Index, **options: Any) -> None:
        """Drops an index."""
        if not self._elsewhere(_listed(index.table)) and not self._has_no_such(index):
            super().drop_index(index, **options)

    def _has_no_such(self, index: Index) -> bool:
        return is_of_vectors(index) and self.dialect.name != "postgresql"

    def create_table_comment(self, table: Table) -> None:
        """Says what a table is for."""
        if not self._elsewhere([_name_of(table)]):
            super().create_table_comment(table)

    def drop_table_comment(self, table: Table) -> None:
        """Takes back what was said."""
        if not self._elsewhere([_name_of(table)]):
            super().drop_table_comment(table)

    def create_column_comment(self, column: Column[Any]) -> None:
        """Says what a column is for."""
        if not self._elsewhere([_name_of(column.table)]):
            super().create_column_comment(column)

    def _elsewhere(self, tables: Iterable[Named]) -> bool:
        return any(self.known.left_out(*table) for table in tables)

    def _write_change(self, statement: Any, title: str) -> None:
        construct = _construct(statement, written=True)
        written_out = construct.compile(dialect=self.dialect, compile_kwargs={"literal_binds": True})
        self.static_output(f"{data_mark(title)}{str(written_out).strip()}{self.command_terminator}")


def _construct(statement: Any, *, written: bool) -> Any:
    """Returns a statement as SQLAlchemy takes it; a str, which comes without values, to the letter.

    Raises: InvalidRequestError for a text that lacks a value and is to be written out: NULL would stand there.
    """
    if isinstance(statement, str):
        return text(_COLON.sub(r"\\:", statement))
    if written and isinstance(statement, TextClause):
        lacking = [name for name, bind in statement._bindparams.items() if bind.required]
        if lacking:
            raise InvalidRequestError(f"The text has no value for {', '.join(lacking)}.")
    return statement


def _typed(table: Any, row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row whose values can be written out, those of columns that say no type by their own."""
    untyped = {name for name in row if name not in table.c or isinstance(table.c[name].type, NullType)}
    return {name: literal(value) if name in untyped else value for name, value in row.items()}


def _name_of(table: Any) -> Named:
    return Named(table.name, table.schema)


def _ends(constraint: Constraint) -> list[Named]:
    """Returns the tables whose rows a new key is checked on; none where it is to be validated later."""
    if not isinstance(constraint, ForeignKeyConstraint) or constraint.dialect_kwargs.get("postgresql_not_valid"):
        return []
    return [_name_of(constraint.table), Named(*referred_name(constraint))]


def _listed(table: Any) -> list[Named]:
    return [] if table is None else [_name_of(table)]
