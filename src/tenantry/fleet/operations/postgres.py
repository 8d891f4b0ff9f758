"""Alembic's operations in PostgreSQL: a forced owner is blind, so it checks keys unforced and leaves rows to others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from alembic.ddl.postgresql import PostgresqlImpl
from sqlalchemy import Connection, MetaData, Table

from tenantry.fleet.operations.implementing import HomeImpl
from tenantry.fleet.operations.statements import Named
from tenantry.isolation.appending import TRIGGER
from tenantry.isolation.searching import search_statements, unsearch_statements
from tenantry.isolation.wall import (
    OPERATOR_POLICY,
    POLICY,
    Capabilities,
    append_only_statements,
    changeable_statements,
    quote,
    table_statements,
)
from tenantry.models import SHARED_SCHEMA, Ownership, is_append_only
from tenantry.models.ownership import MARK
from tenantry.settings import Config

# Whether the operator has BYPASSRLS is the server's to say when the statement runs, not when it is written.
_BYPASSING: Final = Capabilities(version=0, superuser=False, may_bypass=True)


class PostgresHome(HomeImpl, PostgresqlImpl):
    """A home in PostgreSQL."""

    # Whether the SQL written so far ends inside a transaction.
    _within: bool = True

    def emit_begin(self) -> None:
        """Writes BEGIN."""
        self._within = True
        super().emit_begin()

    def emit_commit(self) -> None:
        """Writes COMMIT."""
        self._within = False
        super().emit_commit()

    def wall(self, name: str) -> None:
        """Puts row-level security, its policy and the grants on a table, once a run, whatever stood there."""
        if self.known.is_raised(name):
            return
        self.known.raised(name)
        for statement in _wall(name, self.site.server.config):
            self._exec(statement)
        model = self.site.server.metadata.tables.get(name)
        if model is not None and is_append_only(model):
            # It may be so already, or a later revision makes it so.
            self._exec(_if(_is_kept(quote(name)), _less(quote(name), self.site.server.config)))

    def append_only(self, name: str, *, on: bool) -> None:
        """Gives a table the triggers and the rights of an append-only one, or those of any other."""
        statements = append_only_statements if on else changeable_statements
        for statement in statements(_table(name, Ownership.TENANT), self.site.server.config):
            self._exec(statement)

    def search(self, name: str, *, on: bool) -> None:
        """Gives a table what its search needs, or takes it away."""
        model = self.site.server.metadata.tables.get(name)
        put_up = [] if model is None else search_statements(model, self.site.server.config)
        for statement in put_up if on else unsearch_statements(name):
            self._exec(statement)

    def unwall(self, name: str) -> None:
        """Takes the wall down and with it every right on the table."""
        for statement in _no_wall(name, self.site.server.config):
            self._exec(statement)
        self.known.note(name, None)

    def grant(self, name: str, owner: Ownership) -> None:
        """Gives the rights on a Shared or Platform table to those who have them."""
        schema = SHARED_SCHEMA if owner is Ownership.SHARED else None
        config, table = self.site.server.config, _quoted(Named(name, schema))
        held = ", ".join(config.role(role) for role in ("app", "operator", "platform"))
        statements = table_statements(_table(name, owner, schema), config, _BYPASSING)
        for statement in [f"REVOKE ALL ON {table} FROM {held}", *statements]:
            self._exec(statement)
        self._exec(_sequences(table, config.role("platform")))

    @contextlib.contextmanager
    def unforced(self, tables: Iterable[Named]) -> Iterator[None]:
        """Lets the owner see every row of *tables*."""
        forced = {table: self.known.walled(*table) for table in dict.fromkeys(tables)}
        forced = {table: walled for table, walled in forced.items() if walled is not False}
        with self._whole() if forced else contextlib.nullcontext():
            for table in forced:
                self._exec(f"ALTER TABLE {_quoted(table)} NO FORCE ROW LEVEL SECURITY")
            yield
            for table, walled in forced.items():
                force = f"ALTER TABLE {_quoted(table)} FORCE ROW LEVEL SECURITY"
                self._exec(force if walled else _if_walled(_quoted(table), force))

    @contextlib.contextmanager
    def connected_unforced(self, tables: Iterable[Named]) -> Iterator[None]:
        """Does the same for every table that keys connect with *tables*, whatever keys the database has by then."""
        doubtful = [_quoted(table) for table in tables if self.known.walled(*table) is not False]
        with self._whole() if doubtful else contextlib.nullcontext():
            for table in doubtful:
                self._exec(_connected(table, "NO FORCE", "c.relforcerowsecurity"))
            yield
            for table in doubtful:
                self._exec(_connected(table, "FORCE", "NOT c.relforcerowsecurity"))

    @contextlib.contextmanager
    def as_operator(self, tables: Iterable[Named]) -> Iterator[None]:
        """Takes the operator's role, in the transaction alone, where a table is walled or may be."""
        doubtful = [(table, self.known.walled(*table)) for table in tables]
        operator = self.site.server.config.role("operator")
        if doubtful and all(walled is False for _, walled in doubtful):
            yield
            return
        with self._whole():
            if any(walled for _, walled in doubtful) or not doubtful:
                self._exec(f"SET LOCAL ROLE {operator}")
            else:
                self._exec(_role_if_walled([_quoted(table) for table, _ in doubtful], operator))
            yield
            self._exec("SET LOCAL ROLE NONE")

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Makes a ``with`` block one transaction where a revision has left its own (``autocommit_block``)."""
        if self.as_sql:
            with self._written_whole():
                yield
            return
        if not _is_outside(self.connection):
            yield
            return
        self._exec("BEGIN")
        try:
            yield
        except BaseException:
            self._exec("ROLLBACK")
            raise
        self._exec("COMMIT")

    @contextlib.contextmanager
    def _written_whole(self) -> Iterator[None]:
        outside = not self._within
        if outside:
            self.emit_begin()
        yield
        if outside:
            self.emit_commit()

    def alter_column(self, table_name: str, column_name: str, **options: Any) -> None:
        """Changes a column; where its type changes, the keys it is in are checked on every tenant's rows.

        Raises: TenantColumnKept for the one that says whose a row is.
        """
        schema = options.get("schema")
        table = Named(table_name, schema)
        if options.get("name") is not None or options.get("type_") is not None or options.get("nullable"):
            self.keep_tenant_column(table_name, column_name, schema)
        if self._elsewhere([table]):
            return
        retyped = options.get("type_") is not None
        with self.connected_unforced([table] if retyped else []):
            super().alter_column(table_name, column_name, **options)


def _is_outside(connection: Connection | None) -> bool:
    driver: Any = None if connection is None else connection.connection.driver_connection
    return driver is not None and driver.autocommit and not driver.pgconn.transaction_status


def _table(name: str, owner: Ownership, schema: str | None = None) -> Table:
    table = Table(name, MetaData(), schema=schema)
    # Only now: a table that is marked when it is declared would be lifted.
    table.info[MARK] = owner
    return table


def _wall(name: str, config: Config) -> list[str]:
    operator, table = config.role("operator"), quote(name)
    policy = (
        f"CREATE POLICY {OPERATOR_POLICY} ON {table} AS PERMISSIVE FOR ALL TO {operator} USING (true) WITH CHECK (true)"
    )
    test = f"NOT (SELECT rolbypassrls FROM pg_roles WHERE rolname = '{operator}')"
    return [
        f"REVOKE ALL ON {table} FROM {config.role('app')}, {operator}",
        *table_statements(_table(name, Ownership.TENANT), config, _BYPASSING),
        _if(test, policy),
    ]


def _is_kept(table: str) -> str:
    return f"EXISTS (SELECT FROM pg_trigger WHERE tgrelid = '{_literal(table)}'::regclass AND tgname = '{TRIGGER}')"


def _less(table: str, config: Config) -> str:
    app, operator = config.role("app"), config.role("operator")
    return f"REVOKE UPDATE, DELETE ON {table} FROM {app}; REVOKE UPDATE ON {table} FROM {operator}"


def _no_wall(name: str, config: Config) -> list[str]:
    table = quote(name)
    return [
        f"REVOKE ALL ON {table} FROM PUBLIC, {config.role('app')}, {config.role('operator')}",
        f"DROP POLICY IF EXISTS {POLICY} ON {table}",
        f"DROP POLICY IF EXISTS {OPERATOR_POLICY} ON {table}",
        f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    ]


def _sequences(table: str, role: str) -> str:
    # Identity columns need no right on their sequence; serial ones do.
    return (
        "DO $$ DECLARE found text; BEGIN FOR found IN SELECT pg_get_serial_sequence(attrelid::regclass::text, attname) "
        f"FROM pg_attribute WHERE attrelid = '{_literal(table)}'::regclass AND attnum > 0 AND NOT attisdropped "
        "AND attidentity = '' LOOP IF found IS NOT NULL THEN "
        f"EXECUTE 'GRANT USAGE ON SEQUENCE ' || found || ' TO {role}'; END IF; END LOOP; END $$"
    )


def _connected(table: str, force: str, test: str) -> str:
    # Each step goes by an index: a condition on all of pg_class and pg_constraint takes longer with every tenant. Keys
    # that point at a table are found by what depends on it, as pg_constraint has no index for that.
    own = f"'{_literal(table)}'::regclass"
    return (
        "DO $$ DECLARE found regclass; BEGIN FOR found IN SELECT c.oid::regclass FROM pg_class c "
        f"WHERE c.relrowsecurity AND {test} AND c.oid IN (SELECT {own}::oid "
        f"UNION SELECT k.confrelid FROM pg_constraint k WHERE k.conrelid = {own} AND k.contype = 'f' "
        "UNION SELECT k.conrelid FROM pg_depend d JOIN pg_constraint k ON k.oid = d.objid "
        f"WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = {own} "
        "AND d.classid = 'pg_constraint'::regclass AND k.contype = 'f') "
        f"LOOP EXECUTE 'ALTER TABLE ' || found || ' {force} ROW LEVEL SECURITY'; END LOOP; END $$"
    )


def _if_walled(table: str, statement: str) -> str:
    return _if(f"(SELECT relrowsecurity FROM pg_class WHERE oid = '{_literal(table)}'::regclass)", statement)


def _role_if_walled(tables: list[str], role: str) -> str:
    names = ", ".join(f"to_regclass('{_literal(table)}')" for table in tables)
    return f"SELECT set_config('role', '{role}', true) FROM pg_class WHERE oid IN ({names}) AND relrowsecurity LIMIT 1"


def _if(test: str, statement: str) -> str:
    return f"DO $$ BEGIN IF {test} THEN {statement}; END IF; END $$"


def _quoted(table: Named) -> str:
    return quote(table.name) if table.schema is None else f"{quote(table.schema)}.{quote(table.name)}"


def _literal(name: str) -> str:
    return name.replace("'", "''")
