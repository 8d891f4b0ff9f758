"""The seed's repositories by name, its cache and its security, all over the program's manager."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, Generic, Self, TypeVar

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from tenantry.cache import Cache
from tenantry.cache.aio import AsyncCache
from tenantry.cache.statistics import Statistics
from tenantry.errors import ConfigurationError
from tenantry.packs.documents import aio
from tenantry.packs.documents.aio import AwaitedRepository
from tenantry.packs.documents.repositories import KeptRepository
from tenantry.packs.documents.seed_manager import DatabaseManager
from tenantry.repository.core import Key
from tenantry.session.core import TenantSession
from tenantry.types import Tenant, TenantKey

M = TypeVar("M")

REPOSITORIES: Final[Mapping[str, type[AwaitedRepository[Any]]]] = {
    "organization": aio.AsyncOrganizationRepository,
    "user": aio.AsyncUserRepository,
    "document": aio.AsyncDocumentRepository,
    "document_version": aio.AsyncDocumentVersionRepository,
    "summary": aio.AsyncSummaryRepository,
    "topic": aio.AsyncTopicRepository,
    "document_topic": aio.AsyncDocumentTopicRepository,
    "graph_node": aio.AsyncGraphNodeRepository,
    "graph_relationship": aio.AsyncGraphRelationshipRepository,
}


class BaseRepository(AwaitedRepository[M], Generic[M]):
    """A repository of one's own: ``class Notes(BaseRepository[Note])``; awaited, each call a transaction of its own.

    Without a session it stands on the program's DatabaseManager.
    """

    twin = KeptRepository

    def __init__(
        self, session: AsyncSession | None = None, *, key: TenantKey | None = None, model: type[M] | None = None
    ) -> None:
        """
        Args:
            key: the organisation's, where no session says whose it is.

        Raises: NotInitialized without a session and before ``DatabaseManager.initialize``.
        """
        self._key = key
        calls = session or DatabaseManager.get_instance().door.repository_calls(key)
        super().__init__(calls, model=model)

    def on(self, session: Session) -> Any:
        """Returns the repository itself, over the session behind the async one."""
        return KeptRepository(session, model=self.model, options=self.options)

    async def find_by_id(self, key: Key) -> M | None:
        """Returns the row with this key, or None."""
        return await self.get(key)

    async def find_many(self, *, limit: int | None = None, offset: int | None = None, **filters: Any) -> list[M]:
        """Returns the rows that match, by their key.

        Raises: UnknownField, InvalidFilter, InvalidPage.
        """
        return await self.list(limit=limit, offset=offset, **filters)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Self]:
        """Lends the repository over one session, which commits on leaving and rolls back on an error.

        Raises: as ``DatabaseManager.session_scope``.
        """
        async with DatabaseManager.get_instance().async_session_scope(self._key) as session:
            yield type(self)(session, key=self._key, model=self.model)


class RepositoryFactory:
    """Gives out repositories; each is made for its caller, since a session serves one."""

    _instance: ClassVar[RepositoryFactory | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, manager: DatabaseManager | None = None) -> None:
        self._manager = manager

    @classmethod
    def get_instance(cls) -> RepositoryFactory:
        """Returns the program's factory, which stands on the program's DatabaseManager."""
        with cls._lock:
            cls._instance = cls._instance or cls()
            return cls._instance

    @classmethod
    def reset(cls) -> None:
        """Forgets the program's factory."""
        cls._instance = None

    @property
    def manager(self) -> DatabaseManager:
        """The manager whose database the repositories read and write.

        Raises: NotInitialized before ``DatabaseManager.initialize``.
        """
        return self._manager or DatabaseManager.get_instance()

    def get_repository(self, wanted: str | type, key: TenantKey | None = None) -> AwaitedRepository[Any]:
        """Returns a repository by its name, its model or its class, each of whose calls is a transaction of its own.

        Without *key* a call is for the request's organisation, or the one that it names.

        Raises: ConfigurationError for one that there is not, NotInitialized.
        """
        manager = self.manager
        return _class_of(wanted)(manager.door.repository_calls(key), cache=manager.pack.cache)


class CacheManager:
    """What the repositories keep: looked up, dropped and counted."""

    def __init__(self, cache: Cache | None = None) -> None:
        self._cache = cache

    @property
    def cache(self) -> Cache:
        """The cache behind it: the program's, unless another one was given.

        Raises: NotInitialized; ConfigurationError for documents without a cache.
        """
        found = self._cache or DatabaseManager.get_instance().pack.cache
        if found is None:
            raise ConfigurationError(what="These documents keep nothing.", fix="Make Documents(tenancy, store=...).")
        return found

    @property
    def aio(self) -> AsyncCache:
        """The cache, awaited."""
        return self.cache.aio

    def get(
        self,
        at: TenantSession | TenantKey,
        name: str,
        load: Callable[[TenantSession], Any],
        *,
        by: Any = None,
        reads: Iterable[type | Table] | None = None,
        tags: Iterable[str] = (),
        ttl: float | None = None,
    ) -> Any:
        """Does as ``Cache.get``.

        Raises: as ``Cache.get``.
        """
        return self.cache.get(at, name, load, by=by, reads=reads, tags=tags, ttl=ttl)

    def invalidate(self, session: TenantSession, *tags: str) -> None:
        """Drops what has one of the tags, or everything of the organisation's, when the session commits.

        Raises: as ``Cache.drop``.
        """
        self.cache.drop(session, *tags)

    def clear(self, key: TenantKey) -> int:
        """Removes everything that is kept of an organisation, and returns how many results it was.

        Raises: as ``Cache.clear``.
        """
        return self.cache.clear(key)

    def stats(self, tenant: Tenant | None = None) -> Statistics:
        """Returns how often it helped, of one organisation or of all."""
        return self.cache.stats(tenant)


def _class_of(wanted: str | type) -> type[AwaitedRepository[Any]]:
    for name, found in REPOSITORIES.items():
        if wanted in (name, found, found.twin, found.model):
            return found
    raise ConfigurationError(what=f"There is no repository {wanted!r}.", fix=f"Ask for {', '.join(REPOSITORIES)}.")
