"""The seed's one manager of a program's database, over a door of the documents."""

from __future__ import annotations

import threading
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import ClassVar, Self

from tenantry.cache.memory import MemoryStore
from tenantry.doors import Door
from tenantry.errors import ConfigurationError, NotInitialized
from tenantry.packs.documents.base import DocumentsBase
from tenantry.packs.documents.pack import Documents
from tenantry.packs.documents.seed_config import PostgresConnectionConfig, PostgresPoolConfig
from tenantry.session.aio import AsyncTenantSession
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

# New organisations are found again by their name, of which there is one in an installation.
IDENTITIES = {"organization": "name"}


class DatabaseManager:
    """The documents' database of a program; ``initialize`` once, then ``get_instance`` wherever it is wanted.

    Args:
        owner_config: the owner's login, for what makes tables and tenants.
        demote: lets a superuser's or an owner's login go on with the rights of the run-time login; for tests.
    """

    _instance: ClassVar[DatabaseManager | None] = None
    _lock: ClassVar[threading.RLock] = threading.RLock()

    def __init__(
        self,
        conn_config: PostgresConnectionConfig | Tenancy,
        pool_config: PostgresPoolConfig | None = None,
        *,
        owner_config: PostgresConnectionConfig | None = None,
        demote: bool = False,
    ) -> None:
        self.conn_config = conn_config
        self.pool_config = pool_config or PostgresPoolConfig()
        self._asked = (conn_config, self.pool_config, owner_config, demote)
        self._own = not isinstance(conn_config, Tenancy)
        if isinstance(conn_config, Tenancy):
            self.tenancy = conn_config
        else:
            self.tenancy = Tenancy(
                conn_config.url,
                models=DocumentsBase,
                owner_url=owner_config.url if owner_config else None,
                config=self.pool_config.settings(conn_config, demote=demote),
            )
        self.door: Door[Documents] = Door("documents", DocumentsBase, make=_made, identities=IDENTITIES)
        self.door.use(self.tenancy)

    def __repr__(self) -> str:
        return f"<DatabaseManager of {self.tenancy!r}>"

    @classmethod
    def initialize(
        cls,
        conn_config: PostgresConnectionConfig | Tenancy,
        pool_config: PostgresPoolConfig | None = None,
        *,
        owner_config: PostgresConnectionConfig | None = None,
        demote: bool = False,
    ) -> Self:
        """Makes the program's manager and returns it; the same again returns the one that there is.

        Raises: ConfigurationError where there is one of another configuration.
        """
        with cls._lock:
            asked = (conn_config, pool_config or PostgresPoolConfig(), owner_config, demote)
            if cls._instance is None:
                cls._instance = cls(conn_config, pool_config, owner_config=owner_config, demote=demote)
            elif cls._instance._asked != asked:
                raise ConfigurationError(
                    what="The DatabaseManager is initialized already, with another configuration.",
                    fix="Call DatabaseManager.reset() first, or make a DatabaseManager(...) of your own.",
                )
            return cls._instance  # type: ignore[return-value]  # there is one, of the class that was asked first

    @classmethod
    def get_instance(cls) -> DatabaseManager:
        """Returns the program's manager.

        Raises: NotInitialized before ``initialize``.
        """
        if cls._instance is None:
            raise NotInitialized
        return cls._instance

    @classmethod
    def reset(cls) -> None:
        """Forgets the program's manager and closes what it opened."""
        with cls._lock:
            found, cls._instance = cls._instance, None
            if found is not None:
                found.close()

    @property
    def pack(self) -> Documents:
        """The documents on this database."""
        return self.door.pack

    def session_scope(self, key: TenantKey | None = None) -> AbstractContextManager[TenantSession]:
        """Opens a session that commits on leaving, rolls back on an error, and is closed in any case.

        Without *key* it is the request's organisation's, or that of the first organisation that is named in it.

        Raises: as ``Door.transaction``.
        """
        return self.door.transaction(key)

    def async_session_scope(self, key: TenantKey | None = None) -> AbstractAsyncContextManager[AsyncTenantSession]:
        """Opens the same, awaited.

        Raises: as ``session_scope``.
        """
        return self.door.aio.transaction(key)

    def close(self) -> None:
        """Closes every connection that the manager opened; a tenancy that it was given stays its owner's to close."""
        if self._own:
            self.tenancy.close()


def _made(tenancy: Tenancy) -> Documents:
    return Documents(tenancy, store=MemoryStore())
