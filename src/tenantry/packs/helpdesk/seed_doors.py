"""The helpdesk's own doors: a company's session, manager and database handle, found by its name and platform."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from tenantry.doors import Door
from tenantry.errors import ConfigurationError, IdentityTaken, TenantExists, TenantNotFound, TenantsDisagree
from tenantry.packs.helpdesk.base import PLATFORM, HelpdeskBase
from tenantry.packs.helpdesk.legacy import LegacyStore
from tenantry.packs.helpdesk.pack import Helpdesk
from tenantry.packs.helpdesk.seed_config import (
    COMPANY,
    DatabaseType,
    HelpdeskSettings,
    company_key,
    company_slug,
    tenancy_from_env,
)
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant, TenantKey
from tenantry.web.context import request_context

if TYPE_CHECKING:
    from tenantry.packs.helpdesk.seed_databases import DatabaseHandle

door: Final[Door[Helpdesk]] = Door(
    "helpdesk",
    HelpdeskBase,
    opens=tenancy_from_env,
    make=Helpdesk,
    identities={COMPANY: ("name", "platform")},
    slug=lambda record: company_slug(record.name, record.platform),
)


def helpdesk_tenancy() -> Tenancy:
    """Returns the tenancy behind the helpdesk's doors: the one they were told to use, or the environment's.

    Raises: ConfigurationError.
    """
    return door.tenancy


def get_db_session(tenant_id: Any = None, platform: str | None = None) -> TenantSession:
    """Returns a session of a company, which is made where there is none and the installation allows it.

    Close it, or use it in a ``with`` block. Without a company it takes the request's, or the first that is named in it.

    Raises: InvalidKey, TenantNotFound, TenantCreationDisabled, TenantLimitReached, TenantsDisagree.
    """
    session = door.session(None if tenant_id is None else found_or_made(tenant_id, platform))
    session.info[PLATFORM] = platform
    return session


def found(tenant_id: Any, platform: str | None = None) -> Tenant:
    """Returns a company's tenant.

    Raises: TenantNotFound, InvalidKey; TenantsDisagree where the request is another tenant's, whether or not there is
        such a company.
    """
    key = company_key(tenant_id, platform)
    try:
        return agreed(door.tenancy.tenants.get(key))
    except TenantNotFound:
        if _of_request() is not None:
            raise TenantsDisagree from None
        raise


def found_or_made(
    tenant_id: Any,
    platform: str | None = None,
    *,
    kind: DatabaseType | None = None,
    isolation: Isolation | None = None,
) -> Tenant:
    """Returns a company's tenant, which is made where there is none, by default as TENANT_ISOLATION says.

    Raises: as ``Tenants.create``; ConfigurationError where it lives elsewhere than is asked for; TenantsDisagree in a
        request of another tenant, in which none is made either.
    """
    key = company_key(tenant_id, platform)
    with contextlib.suppress(TenantNotFound):
        return _placed(agreed(door.tenancy.tenants.get(key)), kind, isolation)
    if not isinstance(key, tuple):
        raise TenantNotFound(key=key)
    if _of_request() is not None:
        raise TenantsDisagree
    chosen = isolation or HelpdeskSettings.from_env().isolation
    slug, name, server = company_slug(str(tenant_id), str(platform)), str(tenant_id), _server_of(kind)
    try:
        return door.tenancy.tenants.create(slug, name=name, isolation=chosen, server=server, identities=[key])
    except (IdentityTaken, TenantExists):
        # Another was faster.
        return _placed(door.tenancy.tenants.get(key), kind, isolation)


def agreed(tenant: Tenant) -> Tenant:
    """Returns the tenant if it is the request's, or there is no request.

    Raises: TenantsDisagree.
    """
    own = _of_request()
    if own is not None and own.id != tenant.id:
        raise TenantsDisagree
    return tenant


def _placed(tenant: Tenant, kind: DatabaseType | None, isolation: Isolation | None) -> Tenant:
    present = {"kind": door.tenancy.servers.get(tenant.server).kind, "isolation": str(tenant.isolation)}
    wanted = {"kind": kind or present["kind"], "isolation": str(isolation or tenant.isolation)}
    if present != wanted:
        raise ConfigurationError(
            what=f"The company lives in {' '.join(present.values())}, and {' '.join(wanted.values())} was asked for.",
            fix="Move it with `tenantry tenants move`, or ask for what it has.",
        )
    return tenant


def _server_of(kind: DatabaseType | None) -> str | None:
    if kind is None:
        return None
    for server in door.tenancy.servers.all():
        if server.kind == kind:
            return server.name
    variables = "POSTGRES_PASSWORD and DATABASE_TYPE=postgresql" if kind == "postgresql" else "SQLITE_DATA_DIR"
    raise ConfigurationError(what=f"This installation has no {kind} server.", fix=f"Set {variables}, or add a server.")


def _of_request() -> Tenant | None:
    context = request_context()
    return None if context is None else context.found


class DatabaseManager:
    """What manages one company's database: its sessions and its handle."""

    def __init__(self, tenant_id: str, platform: str) -> None:
        self.tenant_id = tenant_id
        self.platform = platform

    def __repr__(self) -> str:
        return f"DatabaseManager({self.tenant_id!r}, {self.platform!r})"

    @property
    def key(self) -> TenantKey:
        """What finds the company.

        Raises: InvalidKey.
        """
        return company_key(self.tenant_id, self.platform)

    @functools.cached_property
    def database(self) -> DatabaseHandle:
        """The company's database handle.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.packs.helpdesk.seed_databases import get_database  # noqa: PLC0415  # needs greenlet

        return get_database(self.tenant_id, self.platform)

    @property
    def legacy(self) -> LegacyStore:
        """The company's legacy store, below SQLITE_DATA_DIR."""
        return LegacyStore.of(HelpdeskSettings.from_env().sqlite_data_dir, self.tenant_id, self.platform)

    def session(self) -> TenantSession:
        """Returns a session of the company; the caller commits and closes.

        Raises: as ``get_db_session``.
        """
        return get_db_session(self.tenant_id, self.platform)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[TenantSession]:
        """Opens a session of the company, and commits on leaving.

        Raises: as ``get_db_session``, and OutcomeUnknown.
        """
        with self.session() as session:
            yield session
            session.commit()


_managers: Final[dict[tuple[str, str], DatabaseManager]] = {}
_managers_lock: Final = threading.Lock()
_MOST_MANAGERS: Final = 1_000


def get_db_manager(tenant_id: str, platform: str) -> DatabaseManager:
    """Returns the manager of a company, the same one each time; nothing is opened."""
    with _managers_lock:
        made = _managers.setdefault((tenant_id, platform), DatabaseManager(tenant_id, platform))
        while len(_managers) > _MOST_MANAGERS:
            _managers.pop(next(iter(_managers)))
        return made
