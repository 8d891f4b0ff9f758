"""One directory of SQLite files: the catalog, the platform's tables, the common tables, and a file per tenant."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, ForeignKeyConstraint, MetaData, Table
from sqlalchemy.dialects.sqlite.base import SQLiteDDLCompiler
from sqlalchemy.engine import Engine
from sqlalchemy.sql.compiler import DDLCompiler

from tenantry.catalog.tables import CATALOG_SCHEMA
from tenantry.ids import physical_file
from tenantry.isolation.binding import UNBOUND
from tenantry.isolation.ddl import create_statements
from tenantry.isolation.departures import Departed, hook_departures, unheard
from tenantry.isolation.engines import Engines
from tenantry.isolation.hooks import bound
from tenantry.isolation.pools import async_sqlite_engine, sqlite_engine
from tenantry.isolation.registries import registry_files
from tenantry.isolation.searching_sqlite import TABLES, index_statements, tables_of_searches
from tenantry.isolation.sharing import copy_shared
from tenantry.isolation.sqlite_connection import ConnectionFactory, fenced_factory, fenced_for, walled_factory
from tenantry.isolation.sqlite_library import operator_factory
from tenantry.isolation.sqlite_returning import teach_returning
from tenantry.isolation.sqlite_stored import stored_ddl
from tenantry.isolation.sqlite_wall import WallScript
from tenantry.isolation.stamps import stamp_statements
from tenantry.models import SHARED_SCHEMA, Ownership, owned_tables
from tenantry.models.numbering import COUNTERS
from tenantry.settings import Config

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

CATALOG: Final = "catalog.sqlite3"
PLATFORM: Final = "platform.sqlite3"
COMMON: Final = "common.sqlite3"
# What tenants' files are copied from; the digest of what is in it follows.
TEMPLATE_PREFIX: Final = "template"

# In SQLite a schema is a file; within one file the names stand alone.
ONE_FILE: Final = {"schema_translate_map": {SHARED_SCHEMA: None, CATALOG_SCHEMA: None}}


class SqliteServer:
    """A directory as one installation sees it; nothing is made before it is used."""

    kind = "sqlite"

    def __init__(
        self, name: str, directory: Path, *, metadata: MetaData, config: Config, departed: Departed = unheard
    ) -> None:
        self.name = name
        self._departed = departed
        self.metadata = metadata
        self.config = config
        self.engines = Engines(name, config)
        self._directory = directory
        self._template_names: dict[str | None, str] = {}

    def __repr__(self) -> str:
        return f"SqliteServer({self.name!r}, {str(self._directory)!r})"

    @property
    def location(self) -> str:
        """The directory."""
        return str(self._directory)

    @property
    def common_file(self) -> Path:
        """The file with the common tables."""
        return self._directory / COMMON

    def file(self, physical: str) -> Path:
        """Returns the path of a placement's file, always inside the directory."""
        return self._directory / physical

    def make_directory(self) -> None:
        """Makes the directory, for this user alone."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def common_engine(self) -> Engine:
        """Returns the engine on the common tables, each connection behind its wall."""
        return self.engines.shared(COMMON, lambda: self._make(self.common_file, self._walled))

    def async_common_engine(self) -> AsyncEngine:
        """Returns the same for the running event loop."""
        engines = self.engines.of_this_loop()
        return engines.shared(COMMON, lambda: self._make_async(self.common_file, self._walled))

    def platform_engine(self) -> Engine:
        """Returns the engine on Platform tables and the master copies of Shared ones."""
        return self.library_engine(PLATFORM)

    def async_platform_engine(self) -> AsyncEngine:
        """Returns the same for the running event loop."""
        return self.async_library_engine(PLATFORM)

    def operator_engine(self) -> Engine:
        """Returns the engine that sees every tenant's rows in the common tables."""
        return self.engines.shared("operator", lambda: self._make(self.common_file, self._operating))

    def async_operator_engine(self) -> AsyncEngine:
        """Returns the same for the running event loop."""
        engines = self.engines.of_this_loop()
        return engines.shared("operator", lambda: self._make_async(self.common_file, self._operating))

    def file_engine(self, physical: str, tenant: uuid.UUID) -> Engine:
        """Returns the engine on one tenant's file; a missing file is an error, never a new one."""
        factory = fenced_for(self._fenced, tenant)
        return self.engines.bounded(physical, lambda: self._make(self._existing(physical), factory))

    def async_file_engine(self, physical: str, tenant: uuid.UUID) -> AsyncEngine:
        """Returns the same for the running event loop."""
        factory, engines = fenced_for(self._fenced, tenant), self.engines.of_this_loop()
        return engines.bounded(physical, lambda: self._make_async(self._existing(physical), factory))

    def library_engine(self, name: str, *, bounded: bool = False) -> Engine:
        """Returns the engine of the library's own work on a file."""
        keep = self.engines.bounded if bounded else self.engines.shared
        return keep(("library", name), lambda: self._make(self._directory / name, None))

    def async_library_engine(self, name: str) -> AsyncEngine:
        """Returns the same for the running event loop."""
        engines = self.engines.of_this_loop()
        return engines.shared(("library", name), lambda: self._make_async(self._directory / name, None))

    @contextlib.contextmanager
    def connection(self, name: str) -> Iterator[Connection]:
        """Opens one transaction of the library's own work in one of the server's files."""
        bounded = name not in (CATALOG, PLATFORM, COMMON)
        with bound(self.library_engine(name, bounded=bounded), UNBOUND) as connection:
            yield connection

    def forget_check(self) -> None:
        """Forgets nothing: SQLite has no logins."""

    def ensure_checked(self) -> None:
        """Checks nothing: SQLite has no logins."""

    async def ensure_checked_async(self) -> None:
        """Checks nothing: SQLite has no logins."""

    def install(self, *, head: str | None = None) -> None:
        """Makes the platform's file and the common file, at revision *head*; doing it again is safe."""
        self.make_directory()
        with self.connection(PLATFORM) as connection:
            new = not tables_of(connection)
            self.metadata.create_all(connection, tables=self._library_tables)
            _run(connection, stamp_statements(head) if new else [])
        if not self.common_file.exists():
            with self._new_file(self.common_file) as connection:
                _run(connection, [*stored_ddl(self.metadata), *stamp_statements(head)])
        self.publish_shared()

    def create_file(self, physical: str, *, head: str | None = None) -> None:
        """Makes a tenant's file at revision *head*, whole or not at all; one that stands already is left as it is."""
        path = self.file(physical)
        if path.exists():
            return
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            # The folder's own name must outlast a loss of power as the file's does.
            _sync(self._directory)
        template = self._template(head)
        with _placed(path) as scratch:
            shutil.copyfile(template, scratch)
            if owned_tables(self.metadata, Ownership.SHARED):
                with self._written(scratch) as connection:
                    self._copy_shared(connection)

    def remove_file(self, physical: str) -> None:
        """Removes a tenant's file with its journal files."""
        for key in (physical, ("library", physical)):
            self.engines.forget(key)
        path = self.file(physical)
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        for registry in registry_files(path):
            registry.unlink(missing_ok=True)

    def sweep_leftovers(self, physical: str) -> None:
        """Removes what a crash left beside a placement before it got its name."""
        path = self.file(physical)
        for leftover in path.parent.glob(f".{path.name}.*"):
            leftover.unlink(missing_ok=True)

    @cached_property
    def _walled(self) -> ConnectionFactory:
        return walled_factory(WallScript.for_metadata(self.metadata), seconds=self.config.statement_timeout)

    @cached_property
    def _fenced(self) -> ConnectionFactory:
        # The counters number a tenant's rows, so its own sessions write them.
        return fenced_factory(self.metadata, writable=(COUNTERS,), seconds=self.config.statement_timeout)

    @cached_property
    def _operating(self) -> ConnectionFactory:
        return operator_factory(self.metadata)

    @cached_property
    def _library_tables(self) -> list[Table]:
        return owned_tables(self.metadata, Ownership.PLATFORM, Ownership.SHARED)

    @cached_property
    def _file_tables(self) -> list[Table]:
        return owned_tables(self.metadata, Ownership.TENANT, Ownership.RECORD, Ownership.SHARED)

    def _existing(self, physical: str) -> Path:
        path = self.file(physical)
        if not path.exists():
            raise FileNotFoundError(f"the file of this placement is missing: {path}")
        return path

    def _template(self, head: str | None) -> Path:
        """Returns a file like those of tenants, without a tenant's rows; it is made where there is none of its kind."""
        path = self._directory / self._template_name(head)
        if not path.exists():
            with self._new_file(path) as connection:
                self._fill(connection)
                _run(connection, stamp_statements(head))
                self._copy_shared(connection)
            self._prune_templates()
        return path

    def _template_name(self, head: str | None) -> str:
        if head not in self._template_names:
            digest = hashlib.sha256("\n".join([*self._file_ddl, *stamp_statements(head)]).encode()).hexdigest()
            self._template_names[head] = f"{TEMPLATE_PREFIX}{digest[:16]}.sqlite3"
        return self._template_names[head]

    def _prune_templates(self) -> None:
        """Removes all but the newest two: processes of the last release still copy from theirs."""
        found = sorted(self._directory.glob(f"{TEMPLATE_PREFIX}*.sqlite3"), key=lambda path: path.stat().st_mtime)
        for old in found[:-2]:
            old.unlink(missing_ok=True)

    def _fill(self, connection: Connection) -> None:
        self.metadata.create_all(connection, tables=self._file_tables)
        _run(connection, self._search_ddl)

    @property
    def _search_ddl(self) -> list[str]:
        return [line for table in self._file_tables for line in index_statements(table)]

    @cached_property
    def _file_ddl(self) -> list[str]:
        made = create_statements(self.metadata, self._file_tables, "sqlite", compiler=_OneFileCompiler)
        return [*made, *self._search_ddl]

    @cached_property
    def tables_of_files(self) -> set[str]:
        """The names of all tables that stand in a new tenant's file, those of the models' own DDL too."""
        with (
            tempfile.TemporaryDirectory(prefix="tenantry-") as directory,
            self._written(Path(directory) / "probe.sqlite3") as connection,
        ):
            self._fill(connection)
            return tables_of(connection)

    @contextlib.contextmanager
    def _new_file(self, path: Path) -> Iterator[Connection]:
        """Yields a transaction on a new file that gets the name *path* when everything went well (DESIGN D11)."""
        with _placed(path) as scratch, self._written(scratch) as connection:
            yield connection

    @contextlib.contextmanager
    def _written(self, scratch: Path) -> Iterator[Connection]:
        """Yields a transaction on a file of no name yet; afterwards the file is whole, without a journal beside it."""
        engine = sqlite_engine(str(scratch), self.config, factory=None)
        engine.dialect.ddl_compiler = _OneFileCompiler
        try:
            with bound(engine.execution_options(**ONE_FILE), UNBOUND) as connection:
                yield connection
        finally:
            engine.dispose()

    def publish_shared(self, physical: str = COMMON) -> None:
        """Brings the copies of Shared rows in one file to what the platform wrote."""
        with self.connection(physical) as target:
            self._copy_shared(target)

    def _copy_shared(self, target: Connection) -> None:
        tables = owned_tables(self.metadata, Ownership.SHARED)
        if tables:
            with self.connection(PLATFORM) as source:
                copy_shared(source, target, tables)

    def _make(self, path: Path, factory: ConnectionFactory | None) -> Engine:
        engine = sqlite_engine(str(path), self.config, factory=factory)
        hook_departures(engine, self._tell)
        if factory is self._walled:
            teach_returning(engine.dialect)
        return engine.execution_options(**ONE_FILE) if self._translates(factory) else engine

    def _make_async(self, path: Path, factory: ConnectionFactory | None) -> AsyncEngine:
        engine = async_sqlite_engine(str(path), self.config, factory=factory)
        hook_departures(engine.sync_engine, self._tell)
        if factory is self._walled:
            teach_returning(engine.dialect)
        return engine.execution_options(**ONE_FILE) if self._translates(factory) else engine

    def _tell(self, tenant: uuid.UUID) -> None:
        # A file that comes to stand there again is another, whatever name it has.
        self.engines.forget(physical_file(tenant))
        self._departed(tenant)

    def _translates(self, factory: ConnectionFactory | None) -> bool:
        return factory is None or bool(owned_tables(self.metadata, Ownership.SHARED))


class _OneFileCompiler(SQLiteDDLCompiler):
    """Keeps the foreign keys to Shared tables, which SQLite's own compiler drops as keys to another file."""

    def visit_foreign_key_constraint(self, constraint: ForeignKeyConstraint, **options: object) -> str:
        return DDLCompiler.visit_foreign_key_constraint(self, constraint, **options)


@contextlib.contextmanager
def _placed(path: Path) -> Iterator[Path]:
    """Yields a name to write under; what stands there in the end is on the disk before it gets the name *path*."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield scratch
        _sync(scratch)
        # A link fails where the name exists by now: two creators cannot overwrite each other.
        with contextlib.suppress(FileExistsError):
            os.link(scratch, path)
        _sync(path.parent)
    finally:
        for suffix in ("", "-wal", "-shm"):
            scratch.with_name(scratch.name + suffix).unlink(missing_ok=True)


def tables_of(connection: Connection) -> set[str]:
    """Returns the names of the tables in a file, without SQLite's own and those that searches have made."""
    found = connection.exec_driver_sql(TABLES).fetchall()
    return {name for name, _ in found} - tables_of_searches(found)


def _run(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
