"""The one object an application holds: servers, tenants, and sessions bound to them; ``aio`` is its async door."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Container, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Table
from sqlalchemy.engine import Engine
from sqlalchemy.schema import SchemaItem

from tenantry.catalog.warming import WarmPlacement
from tenantry.errors import ConfigurationError
from tenantry.isolation.control import Control
from tenantry.isolation.logins import make_login
from tenantry.isolation.purging import Purge
from tenantry.isolation.servers import MAIN, Servers
from tenantry.isolation.sqlite import SqliteServer
from tenantry.isolation.untenanted import operator_engine, platform_engine
from tenantry.models import behaviour_table, lift
from tenantry.models.given import metadata_of, record_instance
from tenantry.provision import installing
from tenantry.provision.creating import Creating
from tenantry.provision.heads import Scripts
from tenantry.provision.seeding import Seed, Seeding
from tenantry.provision.tenants import Tenants
from tenantry.provision.warm import WarmPool
from tenantry.session.core import BoundSession, TenantSession
from tenantry.session.hiding import session_kind
from tenantry.session.routes import Route, Router
from tenantry.session.visiting import visit
from tenantry.settings import Config, config_from_env, login_urls_from_env, url_from_env
from tenantry.types import Isolation, Outcomes, Tenant, TenantKey, TenantStatus

if TYPE_CHECKING:
    from tenantry.aio import AsyncTenancy


class Tenancy:
    """Keeps the data of many tenants apart on one or more servers; making one opens nothing.

    *url* is the run-time login of the server that holds the catalog, ``postgresql://…`` or ``sqlite:///directory``;
    *models* is a declarative base or a MetaData. *seeds* are called with a session of each new tenant, in order, once
    for a tenant: they write the rows that it begins with, and nothing outside.

    Raises: ConfigurationError for a URL or models it cannot read.
    """

    def __init__(
        self,
        url: str,
        models: Any,
        *,
        owner_url: str | None = None,
        operator_url: str | None = None,
        platform_url: str | None = None,
        config: Config | None = None,
        seeds: Sequence[Seed] = (),
    ) -> None:
        self.config = config or Config()
        self.metadata = metadata_of(models)
        self.models = models
        lift(self.metadata)
        self.servers = Servers(self.metadata, self.config)
        self.servers.add(MAIN, url, owner_url=owner_url, operator_url=operator_url, platform_url=platform_url)
        self._control = Control(self.servers)
        self.router = Router(self._control, self.servers, self.config)
        self.scripts = Scripts(self.config.migrations)
        seeding = Seeding(self._control, seeds, run=self._run_seed)
        self.tenants = Tenants(
            self._control,
            self.servers,
            self.config,
            creating=Creating(
                self._control,
                self.servers,
                self.config,
                self.scripts,
                write_record=self._write_record,
                seeding=seeding,
            ),
            seeding=seeding,
            pool=WarmPool(self._control, self.servers, self.scripts, self.config.warm),
            changed=self.router.forget,
        )
        # Told of each tenant whose rows were changed behind its sessions' backs: by a purge, by a restore.
        self.rows_replaced: list[Callable[[uuid.UUID], object]] = []
        # Told of tenants' transactions: a tenantry.observe.Observer, where one was made.
        self.watcher: Any = None
        # The tenantry.search.Search of each model that has one.
        self.searches: dict[type, Any] = {}
        self._aio: AsyncTenancy | None = None

    def __repr__(self) -> str:
        return f"Tenancy({self.servers!r})"

    @classmethod
    def from_env(cls, models: Any, *, config: Config | None = None, seeds: Sequence[Seed] = ()) -> Tenancy:
        """Returns the tenancy that the environment describes: TENANTRY_URL and its kin, or the POSTGRES_* parts.

        Raises: ConfigurationError.
        """
        chosen = config or config_from_env()
        return cls(url_from_env(), models, config=chosen, seeds=seeds, **login_urls_from_env())

    @property
    def aio(self) -> AsyncTenancy:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        if self._aio is None:
            from tenantry.aio import AsyncTenancy  # noqa: PLC0415  # needs greenlet, which not every installation has

            self._aio = AsyncTenancy(self)
        return self._aio

    def table(self, name: str, *items: SchemaItem, behaviour: str, **info: Any) -> Table:
        """Adds the table of a behaviour to the models, once: walled, unless ``owner=`` says whose it is else.

        Raises: ConfigurationError after anything was opened, and for a table of that name which is another's.
        """
        if name not in self.metadata.tables and any(server.engines.opened for server in self.servers.all()):
            raise ConfigurationError(
                what=f"{behaviour} was made after its tenancy had opened a connection, so no wall knows its table.",
                fix=f"Make it right after the Tenancy: {behaviour.lower()} = {behaviour}(tenancy).",
            )
        return behaviour_table(self.metadata, name, *items, behaviour=behaviour, **info)

    def lend_migrations(self, directory: str) -> None:
        """Says where the Alembic scripts are where the configuration does not: the command line reads more than it."""
        if self.config.migrations is None:
            self.config = dataclasses.replace(self.config, migrations=directory)
            self.scripts.look_in(self.config.migrations)

    def install(self, *, create_tables: bool = False) -> None:
        """Makes catalog, roles, grants and walls on every server; doing it again, or twice at once, is safe.

        Common tables come from the application's migrations; *create_tables* makes them, for demonstrations and tests.

        Raises: ModelsRefused, LoginRequired, CatalogVersionMismatch.
        """
        installing.check_models(self.metadata)
        installing.install(self.servers, self._control, self.scripts, create_tables=create_tables)
        self.router.clear()
        for server in self.servers.all():
            server.forget_check()

    def publish(self) -> None:
        """Brings every copy of the Shared tables, in tenants' own databases and files, to what the platform wrote.

        Raises: LoginRequired without the owner's login, or without one that lists tenants.
        """
        for server in self.servers.all():
            if isinstance(server, SqliteServer):
                server.publish_shared()
        # First those that are kept ready: one that is taken meanwhile is a tenant's by the time those are listed.
        places: list[WarmPlacement | Tenant] = [*self.tenants.warm_placements(), *self.every_tenant()]
        for place in places:
            if place.isolation is Isolation.DATABASE:
                self.servers.get(place.server).publish_shared(place.physical)

    def install_script(self, *, server: str = MAIN, create_tables: bool = False) -> list[str]:
        """Returns the statements ``install()`` would run on a PostgreSQL server, for a DBA to read.

        Raises: ModelsRefused, LoginRequired.
        """
        installing.check_models(self.metadata)
        return installing.script(self.servers.get(server), self.scripts, create_tables=create_tables)

    def create_login(self, name: str, *, role: str = "app", server: str = MAIN) -> str:
        """Makes a PostgreSQL login in one of the four roles and returns its URL, with a new password, this once.

        Raises: ConfigurationError for a name that is no plain name or a role that does not exist.
        """
        return make_login(self.servers.get(server), name, role=role)

    def session(self, key: TenantKey, *, read_only: bool = False, isolation_level: str | None = None) -> TenantSession:
        """Opens a session bound to one tenant, for a ``with`` block: the caller commits, leaving rolls back the rest.

        Raises: InvalidKey, TenantNotFound, TenantSuspended, TenantUnavailable, TransactionModeRefused, UnsafeLogin.
        """
        route = self.router.route(key)
        return self._session_on(route, route.engine(read_only=read_only, isolation_level=isolation_level))

    @contextlib.contextmanager
    def transaction(
        self, key: TenantKey, *, read_only: bool = False, isolation_level: str | None = None
    ) -> Iterator[TenantSession]:
        """Opens a session bound to one tenant, commits on leaving, and rolls back on an error.

        Raises: as ``session``, and OutcomeUnknown.
        """
        with self.session(key, read_only=read_only, isolation_level=isolation_level) as session:
            yield session
            session.commit()

    @contextlib.contextmanager
    def operator(self, reason: str, *, server: str = MAIN) -> Iterator[BoundSession]:
        """Opens a session across the tenants of one server's common tables; the reason is on the record first.

        Raises: ConfigurationError without a reason, LoginRequired without the operator's login.
        """
        self.record_operator(reason, server)
        engine, binding = operator_engine(self.servers.get(server))
        with BoundSession(engine, binding=binding) as session:
            yield session

    def record_operator(self, reason: str, server: str = MAIN) -> None:
        """Puts a look across tenants on the record.

        Raises: ConfigurationError without a reason, ServerUnknown, LoginRequired.
        """
        self._control.record_operator(check_reason(reason), self.servers.get(server).name)

    @contextlib.contextmanager
    def purging(self, key: TenantKey, *, reason: str) -> Iterator[Purge]:
        """Opens a transaction in which one tenant's rows may go, those of append-only tables too, and commits it.

        On PostgreSQL it runs by the operator's login, never by the app's; the reason is on the record first.

        Raises: TenantNotFound, ConfigurationError without a reason, LoginRequired without the operator's login.
        """
        tenant = self.tenants.get(key)
        self.record_operator(reason, tenant.server)
        try:
            with self.servers.strategy_of(tenant).purging(tenant.id) as purge:
                yield purge
        finally:
            self.tell_rows_replaced(tenant.id)

    def tell_rows_replaced(self, tenant: uuid.UUID) -> None:
        """Tells whoever keeps something of a tenant's rows that they changed behind its sessions' backs."""
        for listener in self.rows_replaced:
            listener(tenant)

    def purge(
        self,
        key: TenantKey,
        table: Table | type,
        *where: ColumnElement[bool],
        older_than: datetime | timedelta,
        column: str = "created_at",
        reason: str,
    ) -> int:
        """Deletes one tenant's rows of a table that are older than a time, or than so much time, and returns how many.

        Args:
            table: the table or a class mapped to it, append-only or not.
            where: further conditions on its columns that a row must meet to go.
            column: the column that says how old a row is.

        Raises: as ``purging``.
        """
        with self.purging(key, reason=reason) as purge:
            return purge.delete_older(table, older_than, *where, column=column)

    @contextlib.contextmanager
    def catalog(self, action: str) -> Iterator[Connection]:
        """Opens a transaction on the catalog's tables, by the platform's login, else the owner's; commits on leaving.

        Raises: LoginRequired without either, CatalogMissing, CatalogVersionMismatch for one install() must upgrade.
        """
        with self._control.tables(action) as connection:
            yield connection

    @contextlib.contextmanager
    def platform(self, *, server: str = MAIN) -> Iterator[BoundSession]:
        """Opens a session on Platform and Shared tables, by a login without rights on tenants' tables.

        Raises: LoginRequired without the platform's login.
        """
        engine, binding = platform_engine(self.servers.get(server))
        with BoundSession(engine, binding=binding) as session:
            yield session

    def each(
        self,
        fn: Callable[[TenantSession], Any],
        *,
        where: Callable[[Tenant], bool] | None = None,
        jobs: int = 4,
    ) -> Outcomes:
        """Runs ``fn(session)`` in a transaction of every active tenant of every server, *jobs* at a time.

        One tenant's error does not stop the others. A lost connection during a commit is ``unknown``, not failed.

        Raises: LoginRequired without the platform's or the owner's login.
        """
        tenants = (tenant for tenant in self.every_tenant() if where is None or where(tenant))
        return visit(tenants, lambda tenant: self._run(tenant, fn), jobs=jobs)

    def every_tenant(
        self, *, statuses: Container[TenantStatus] = (TenantStatus.ACTIVE,), batch: int = 500
    ) -> Iterator[Tenant]:
        """Yields every tenant in one of *statuses*, reading the catalog in batches.

        Raises: LoginRequired without the platform's or the owner's login.
        """
        after: Tenant | None = None
        while page := self.tenants.list(after=after, limit=batch):
            yield from (tenant for tenant in page if tenant.status in statuses)
            after = page[-1]

    def close(self) -> None:
        """Closes every connection of the synchronous door."""
        for server in self.servers.all():
            server.engines.close()
        self.router.clear()

    def _run(self, tenant: Tenant, fn: Callable[[TenantSession], Any]) -> Any:
        with self.transaction(tenant) as session:
            return fn(session)

    def _session_on(self, route: Route, engine: Engine) -> TenantSession:
        return session_kind()(
            engine,
            tenant=route.tenant,
            binding=route.binding,
            criteria=route.criteria,
            walled=route.strategy.walled,
            info={"tenancy": self},
        )

    def _write_record(self, tenant: Tenant, record: object) -> None:
        route = Route(tenant, self.servers.strategy_of(tenant))
        with self._session_on(route, route.engine()) as session:
            made = record_instance(self.models, record)
            if session.get(type(made), tenant.id) is None:
                session.add(made)
                session.commit()

    def _run_seed(self, tenant: Tenant, seed: Seed) -> None:
        route = Route(tenant, self.servers.strategy_of(tenant))
        with self._session_on(route, route.engine()) as session:
            seed(session)
            session.commit()


def check_reason(reason: str) -> str:
    """Returns a reason that says something.

    Raises: ConfigurationError for an empty one.
    """
    if not reason.strip():
        raise ConfigurationError(what="operator() was given no reason.", fix="Say why: operator('ticket 4711').")
    return reason
