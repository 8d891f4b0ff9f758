"""The seed's initializer: makes the database of documents, fills it, takes it down; drops test databases only."""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from psycopg import sql

from tenantry.errors import DropRefused, MigrationFailed
from tenantry.fleet import Fleet
from tenantry.packs.documents import samples
from tenantry.packs.documents.seed_config import TEST_NAME, PostgresConnectionConfig, PostgresPoolConfig
from tenantry.packs.documents.seed_manager import DatabaseManager
from tenantry.session.core import TenantSession
from tenantry.types import Isolation, TenantKey, TenantStatus

_TRUE: Final = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseInitializerConfig:
    """What an initializer does: with which database, and how far it goes.

    ``auto_drop_on_exit`` drops the database on leaving, and only one that is called as test databases are.
    """

    connection_config: PostgresConnectionConfig
    pool_config: PostgresPoolConfig | None = None
    auto_create_db: bool = True
    auto_drop_on_exit: bool = False
    schema_file: str | Path | None = None
    sample_data_script: str | Path | None = None
    load_sample_data: bool = False
    admin_database: str = "postgres"
    # Lets the one login of a test database do everything, and still go on with the rights of the run-time login.
    demote: bool = True

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Returns what ``POSTGRES_*``, ``AXAI_AUTO_DROP_DB`` and ``AXAI_LOAD_SAMPLE_DATA`` say.

        Raises: ConfigurationError.
        """
        env = os.environ if environ is None else environ
        return cls(
            connection_config=PostgresConnectionConfig.from_env(env),
            auto_drop_on_exit=env.get("AXAI_AUTO_DROP_DB", "").lower() in _TRUE,
            load_sample_data=env.get("AXAI_LOAD_SAMPLE_DATA", "").lower() in _TRUE,
        )


class DatabaseInitializer:
    """Makes the database that its configuration names; as a context manager it takes it down on leaving."""

    def __init__(self, config: DatabaseInitializerConfig) -> None:
        self.config = config
        self._manager: DatabaseManager | None = None

    def __repr__(self) -> str:
        return f"<DatabaseInitializer of {self.config.connection_config.database!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.teardown_database()

    def create_database(self) -> bool:
        """Makes the database where there is none, and returns whether it did."""
        name = self.config.connection_config.database
        with self._admin() as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                return False
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return True

    def drop_database(self) -> None:
        """Drops the database with the organisations' own, whoever is connected.

        Raises: DropRefused for one that is not called as test databases are.
        """
        found = self.config.connection_config
        if not found.is_test:
            raise DropRefused(name=found.database, pattern=TEST_NAME.pattern)
        self._erase_own_databases()
        self._close()
        with self._admin() as connection:
            for name in (*self._templates(connection), found.database):
                drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
                connection.execute(drop)

    def apply_schema(self, schema_file: str | Path | None = None) -> None:
        """Makes catalog, roles, tables and walls: the tables by the pack's history, or by an SQL file of one's own.

        Raises: MigrationFailed; psycopg.Error for what the file cannot do.
        """
        manager, file = self.get_database_manager(), schema_file or self.config.schema_file
        manager.tenancy.install()
        if file is None:
            self._migrate(manager)
            return
        with psycopg.connect(self.config.connection_config.url, autocommit=True) as connection:
            connection.execute(Path(file).read_text(encoding="utf-8").encode())
        manager.tenancy.install()

    def load_sample_data(self, script_path: str | Path | None = None) -> None:
        """Loads sample organisations, generated ones or those of a script that takes ``manager``."""
        manager, script = self.get_database_manager(), script_path or self.config.sample_data_script
        if script is None:
            samples.load_generated(manager.tenancy)
        else:
            runpy.run_path(str(script), init_globals={"manager": manager}, run_name="__main__")

    def setup_database(self, load_sample_data: bool | None = None, apply_schema: bool = True) -> None:
        """Makes the database where it may, its tables, and its sample data where it is asked to.

        Raises: as ``apply_schema``.
        """
        if self.config.auto_create_db:
            self.create_database()
        if apply_schema:
            self.apply_schema()
        if self.config.load_sample_data if load_sample_data is None else load_sample_data:
            self.load_sample_data()

    def teardown_database(self) -> None:
        """Closes what was opened, and drops the database if it was configured to.

        Raises: DropRefused.
        """
        if self.config.auto_drop_on_exit:
            self.drop_database()
        self._close()

    def reset_database(self, load_sample_data: bool | None = None) -> None:
        """Drops the database and makes it anew.

        Raises: DropRefused, and as ``setup_database``.
        """
        self.drop_database()
        self.create_database()
        self.setup_database(load_sample_data)

    def get_connection_config(self) -> PostgresConnectionConfig:
        """Returns where the database is."""
        return self.config.connection_config

    def get_database_manager(self) -> DatabaseManager:
        """Returns the manager of this database, which is not the program's own."""
        if self._manager is None:
            self._manager = DatabaseManager(
                self.config.connection_config, self.config.pool_config, demote=self.config.demote
            )
        return self._manager

    def session_scope(self, key: TenantKey | None = None) -> AbstractContextManager[TenantSession]:
        """Opens a session that commits on leaving, as ``DatabaseManager.session_scope`` does.

        Raises: as ``DatabaseManager.session_scope``.
        """
        return self.get_database_manager().session_scope(key)

    def _migrate(self, manager: DatabaseManager) -> None:
        outcome = Fleet(manager.tenancy, manager.pack.history()).upgrade()
        for work in outcome.failed:
            raise MigrationFailed(home=work.home, before="base", step="upgrade", error=str(work.error))

    def _erase_own_databases(self) -> None:
        if not self._exists():
            return
        tenancy = self.get_database_manager().tenancy
        standing = (TenantStatus.ACTIVE, TenantStatus.SUSPENDED, TenantStatus.PROVISIONING)
        for tenant in [*tenancy.every_tenant(statuses=standing)] if self._installed() else ():
            if tenant.isolation is Isolation.DATABASE:
                tenancy.tenants.erase(tenant, confirm=tenant.slug)

    def _exists(self) -> bool:
        with self._admin() as connection:
            question = "SELECT 1 FROM pg_database WHERE datname = %s"
            return connection.execute(question, (self.config.connection_config.database,)).fetchone() is not None

    def _installed(self) -> bool:
        with psycopg.connect(self.config.connection_config.url, autocommit=True) as connection:
            return connection.execute("SELECT to_regclass('tenantry.tenants')").fetchone() != (None,)

    def _templates(self, connection: psycopg.Connection[Any]) -> list[str]:
        question = "SELECT datname FROM pg_database WHERE shobj_description(oid, 'pg_database') = %s"
        marked = f"tenantry template: {self.config.connection_config.database}"
        return [name for (name,) in connection.execute(question, (marked,)).fetchall()]

    def _close(self) -> None:
        found, self._manager = self._manager, None
        if found is not None:
            found.close()

    def _admin(self) -> psycopg.Connection[Any]:
        url = self.config.connection_config.on(self.config.admin_database).url
        # A database is neither made nor dropped inside a transaction.
        return psycopg.connect(url, autocommit=True)
