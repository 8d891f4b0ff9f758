"""Results kept per tenant: found by (tenant, place, epoch, query), loaded once, dropped with the commit that counts."""

from __future__ import annotations

import contextlib
import functools
import inspect
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, cast

from sqlalchemy import Table, func, select
from sqlalchemy import inspect as mapped

from tenantry.cache import statistics
from tenantry.cache.statistics import Statistics, Tally
from tenantry.cache.stores import ANY_WRITE, EVERYTHING, Answer, Entry, Look, Store
from tenantry.cache.values import decode, encode
from tenantry.cache.waiting import pause
from tenantry.cache.watching import Watcher, note, table_tag, watch, written
from tenantry.errors import CacheUnavailable, ConfigurationError
from tenantry.models import is_walled
from tenantry.session.clock import on_postgresql
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import Tenant, TenantKey

if TYPE_CHECKING:
    from tenantry.cache.aio import AsyncCache

P = ParamSpec("P")
R = TypeVar("R")

LONGEST: Final = 24 * 3600.0
_PAUSES: Final = (0.005, 0.01, 0.02, 0.05, 0.1)


class Cache:
    """Keeps what a tenant's queries gave until a commit of this tenancy's sessions changes it, or its time is over.

    Args:
        store: ``MemoryStore()`` for one process, ``RedisStore(url)`` for several.
        ttl: how many seconds a result is kept at most, unless the call says otherwise.
        lead_for: how long others wait for whoever is loading what they want, before they load it themselves.
        close_for: how long a tag stays closed when its writer died while it committed; no commit may take longer.
        stale_when_down: lets writes commit while the store does not answer; results may then be old up to their time.
        name: what certificates of erasure call it.

    Raises: ConfigurationError for a time that is none.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        store: Store,
        *,
        ttl: float = 300.0,
        lead_for: float = 10.0,
        close_for: float = 60.0,
        stale_when_down: bool = False,
        name: str = "cache",
    ) -> None:
        for seconds in (ttl, lead_for, close_for):
            _check_seconds(seconds)
        self.tenancy = tenancy
        self.store = store
        self.name = name
        self._ttl = ttl
        self._lead_for = lead_for
        self._tally = Tally()
        watch(tenancy, Watcher(store, close_for, stale_when_down))
        tenancy.rows_replaced.append(self._clear_replaced)

    def __repr__(self) -> str:
        return f"Cache({self.store!r})"

    @functools.cached_property
    def aio(self) -> AsyncCache:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.cache.aio import AsyncCache  # noqa: PLC0415  # needs greenlet

        return AsyncCache(self)

    def get(
        self,
        at: TenantSession | TenantKey,
        name: str,
        load: Callable[[TenantSession], R],
        *,
        by: Any = None,
        reads: Iterable[type | Table] | None = None,
        tags: Iterable[str] = (),
        ttl: float | None = None,
    ) -> R:
        """Returns what ``load(session)`` gives, or gave before: a copy of the caller's own, of plain data.

        By a tenant's key a session is opened only to load. A session that has written loads, and what it loads is not
        kept; nor is what a session loads that already holds objects or an older view of the rows.

        Args:
            name: what is asked, and *by* its parameters, in plain data: one name for one kind of question.
            reads: the classes whose rows the result comes of; None has every write of the tenant drop it.
            tags: further words that ``drop`` is told.

        Raises: CacheRefused for a result that is no plain data, ConfigurationError, and what ``load`` raises; by a key
            also as ``Tenancy.session``.
        """
        question = self.question(name, by=by, reads=reads, tags=tags, ttl=ttl)
        if isinstance(at, TenantSession):
            return question.in_session(self.own(at), load)
        tenant = self.tenancy.router.route(at).tenant

        def opened() -> R:
            with self.tenancy.session(tenant, read_only=True) as session:
                return load(session)

        return question.outside(tenant, opened)

    def cached(
        self,
        *,
        name: str | None = None,
        reads: Iterable[type | Table] | None = None,
        tags: Iterable[str] = (),
        ttl: float | None = None,
    ) -> Callable[[Callable[Concatenate[Any, P], R]], Callable[Concatenate[Any, P], R]]:
        """Has a function's results kept, by its arguments; the first is a session or a tenant's key, as for ``get``.

        A function that is ``async def`` stays so.

        Raises: ConfigurationError for a function inside another one that is given no *name*.
        """
        reads, tags = None if reads is None else tuple(reads), tuple(tags)

        def decorate(load: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
            options = {"reads": reads, "tags": tags, "ttl": ttl}
            return _kept(self, load, _named(load, name), options)

        return decorate

    def drop(self, session: TenantSession, *tags: str) -> None:
        """Drops what has one of the tags, or everything of the tenant's, when the session commits.

        Raises: CacheUnavailable while it commits, ConfigurationError for a session of another tenancy.
        """
        note(self.own(session), [_word(tag) for tag in tags] or [EVERYTHING])

    def clear(self, key: TenantKey) -> int:
        """Removes everything that is kept of a tenant at once, and returns how many results it was.

        Raises: TenantNotFound, CacheUnavailable.
        """
        return self.forget(self.tenancy.tenants.get(key).id, None)

    def forget(self, tenant: uuid.UUID, subject: Collection[str] | None) -> int:
        """Removes everything of a tenant's, and returns how many results it was, or named the person *subject*.

        Raises: CacheUnavailable.
        """
        return self.store.forget(tenant, subject)

    def _clear_replaced(self, tenant: uuid.UUID) -> None:
        # What happened has happened: with a store that is down, the results' time is the limit.
        with contextlib.suppress(CacheUnavailable):
            self.store.forget(tenant, None)

    def stats(self, tenant: Tenant | uuid.UUID | None = None) -> Statistics:
        """Returns what this process counted, of one tenant or of all."""
        return self._tally.statistics(tenant.id if isinstance(tenant, Tenant) else tenant)

    def own(self, session: TenantSession) -> TenantSession:
        """Returns a session whose commits this cache hears of.

        Raises: ConfigurationError for one of another tenancy.
        """
        if session.info.get("tenancy") is not self.tenancy:
            raise ConfigurationError(
                what="The cache was given a session of another Tenancy, whose commits it does not hear of.",
                fix="Use sessions of the Tenancy that the cache was made of.",
            )
        return session

    def question(
        self, name: str, *, by: Any, reads: Iterable[type | Table] | None, tags: Iterable[str], ttl: float | None
    ) -> Question:
        """Returns one question as it is put to the store.

        Raises: ConfigurationError.
        """
        if ttl is not None:
            _check_seconds(ttl)
        tables = [ANY_WRITE] if reads is None else [_tag_of(table) for read in reads for table in _tables(read)]
        words = (*tables, *(_word(tag) for tag in tags))
        return Question(self.store, self._tally, name, by, words, self._ttl if ttl is None else ttl, self._lead_for)


class Question:
    """One question of a tenant's: looked up, loaded by one caller at a time, kept if nobody dropped it meanwhile."""

    def __init__(
        self, store: Store, tally: Tally, name: str, by: Any, tags: tuple[str, ...], ttl: float, lead_for: float
    ) -> None:
        self._store = store
        self._tally = tally
        self._name = name
        self._by = by
        self._tags = tags
        self._ttl = ttl
        self._lead_for = lead_for

    def in_session(self, session: TenantSession, load: Callable[[TenantSession], R]) -> R:
        """Returns the answer, loaded in a session where it must be."""
        if written(session):
            self._tally.add(session.tenant.id, statistics.PASSED)
            return self._copy(load(session))
        began = session.in_transaction()
        # An object that is there already is not read again; and other snapshots than this are older than the look.
        fresh = not session.identity_map.keys() and (not began or on_postgresql(session))
        return self._answer(
            session.tenant,
            lambda: load(session),
            lead_for=self._lead_for if fresh else 0.0,
            may_keep=lambda: not written(session) and (not began or _sees_commits(session)),
        )

    def outside(self, tenant: Tenant, load: Callable[[], R]) -> R:
        """Returns the answer, loaded by *load* in a session of its own where it must be."""
        return self._answer(tenant, load, lead_for=self._lead_for, may_keep=lambda: True)

    def _answer(self, tenant: Tenant, load: Callable[[], R], *, lead_for: float, may_keep: Callable[[], bool]) -> R:
        entry = Entry.of(tenant, self._name, by=self._by, tags=self._tags)
        look = self._look(entry, lead_for)
        if look.answer is Answer.HIT:
            return cast(R, decode(look.value))
        if look.answer is not Answer.LEAD:
            return self._copy(load())
        try:
            value = self._encoded(load())
            keeps = may_keep()
        except BaseException:
            self._abandon(entry, look)
            raise
        if keeps:
            self._fill(entry, look, value)
        else:
            self._abandon(entry, look)
        return cast(R, decode(value))

    def _look(self, entry: Entry, lead_for: float) -> Look:
        """Looks, and goes on looking while another one loads, as long as that one has time."""
        until, pauses = time.monotonic() + lead_for, iter(_PAUSES)
        try:
            while True:
                look = self._store.look(entry, lead_for=lead_for)
                if look.answer is not Answer.WAIT or time.monotonic() >= until:
                    break
                pause(next(pauses, _PAUSES[-1]))
        except CacheUnavailable:
            self._tally.add(entry.tenant, statistics.UNAVAILABLE)
            return Look(Answer.CLOSED)
        self._tally.add(entry.tenant, statistics.HIT if look.answer is Answer.HIT else statistics.MISS)
        return look

    def _fill(self, entry: Entry, look: Look, value: bytes) -> None:
        try:
            kept = self._store.fill(entry, look, value, ttl=self._ttl)
        except CacheUnavailable:
            return
        if kept:
            self._tally.add(entry.tenant, statistics.KEPT)

    def _abandon(self, entry: Entry, look: Look) -> None:
        try:
            self._store.abandon(entry, look)
        except CacheUnavailable:
            # Its lead ends by itself.
            return

    def _encoded(self, value: Any) -> bytes:
        return encode(value, what=self._name)

    def _copy(self, value: R) -> R:
        # A result looks the same whether it was kept or not, and so does what cannot be kept.
        return cast(R, decode(self._encoded(value)))


def _kept(cache: Cache, load: Callable[..., Any], name: str, options: dict[str, Any]) -> Callable[..., Any]:
    signature = inspect.signature(load)

    def parameters(at: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        given = signature.bind(at, *args, **kwargs)
        given.apply_defaults()
        return dict(list(given.arguments.items())[1:])

    if inspect.iscoroutinefunction(load):

        @functools.wraps(load)
        async def awaited(at: Any, /, *args: Any, **kwargs: Any) -> Any:
            async def loaded(session: Any) -> Any:
                return await load(session, *args, **kwargs)

            return await cache.aio.get(at, name, loaded, by=parameters(at, args, kwargs), **options)

        return awaited

    @functools.wraps(load)
    def called(at: Any, /, *args: Any, **kwargs: Any) -> Any:
        by = parameters(at, args, kwargs)
        return cache.get(at, name, lambda session: load(session, *args, **kwargs), by=by, **options)

    return called


def _named(load: Callable[..., Any], name: str | None) -> str:
    """Returns what a function's results are kept under.

    Raises: ConfigurationError for a function whose name may be another's too.
    """
    found = name or f"{load.__module__}.{load.__qualname__}"
    if name is None and "<" in load.__qualname__:
        raise ConfigurationError(
            what=f"{found} may be several functions, and their results would be mixed.",
            fix="Give each a name of its own: cached(name=...).",
        )
    return found


def _sees_commits(session: TenantSession) -> bool:
    """Whether each statement of the session's transaction sees what was committed before it."""
    return session.scalar(select(func.current_setting("transaction_isolation"))) == "read committed"


def _tables(read: type | Table) -> Iterable[Any]:
    # Some are joined from several tables.
    return (read,) if isinstance(read, Table) else mapped(read).tables


def _tag_of(table: Table) -> str:
    if not is_walled(table):
        raise ConfigurationError(
            what=f"{table.key!r} is no table of a tenant's, so nobody says when it was written.",
            fix="Leave it out of reads=, and give a ttl= that its changes may take.",
        )
    return table_tag(table)


def _word(tag: str) -> str:
    if not isinstance(tag, str) or not tag:
        raise ConfigurationError(what=f"{tag!r} is no tag.", fix="Use words, such as 'dashboard'.")
    return f"tag:{tag}"


def _check_seconds(seconds: float) -> None:
    if not 0 < seconds <= LONGEST:
        raise ConfigurationError(
            what=f"{seconds} is no time for which a result can be kept.", fix="Give seconds, from above 0 to a day's."
        )
