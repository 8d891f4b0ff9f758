"""One unit of work for each call of a repository, of one company, which must be the request's where there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from tenantry.doors import Door
from tenantry.doors.units import Streamed, Units
from tenantry.packs.helpdesk.aio import AsyncIntegratedObjectRepository
from tenantry.packs.helpdesk.base import PLATFORM
from tenantry.packs.helpdesk.models_knowledge import IntegratedObject
from tenantry.packs.helpdesk.seed_config import company_key
from tenantry.packs.helpdesk.seed_doors import agreed, door
from tenantry.repository import AsyncRepository
from tenantry.types import TenantKey

M = TypeVar("M")
P = ParamSpec("P")
R = TypeVar("R")


class CompanyUnits(Units):
    """Gives an async repository a session of one company for each call; new rows get its platform."""

    def __init__(self, door: Door[Any], key: TenantKey | None, platform: str | None) -> None:
        super().__init__(door, key)
        self._tenancies = door
        self._own = key
        self._platform = platform

    def __repr__(self) -> str:
        return f"<Units of {self._own!r}>"

    @property
    def open(self) -> bool:
        """Whether no company was said yet."""
        return self._own is None

    async def run_sync(self, work: Callable[Concatenate[Session, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Returns what *work* comes to in a transaction of its own.

        Raises: TenantsDisagree where the request is another tenant's; as ``Door.transaction``.
        """

        def checked(session: Session) -> R:
            if self._own is not None:
                agreed(session.info["tenant"])
            session.info[PLATFORM] = self._platform
            return work(session, *args, **kwargs)

        return await super().run_sync(checked)

    async def stream_scalars(self, statement: Any, **options: Any) -> Streamed:
        """Returns rows that are fetched while they are read.

        Raises: as ``run_sync``.
        """
        if self._own is not None:
            agreed(await self._tenancies.tenancy.aio.tenants.get(self._own))
        return await super().stream_scalars(statement, **options)


def calls(tenant_id: Any = None, platform: str | None = None) -> AsyncSession:
    """Returns what an async repository takes for a session, so that each of its calls is a company's unit of work.

    Without a company a call takes the request's, or that which it names itself. Nothing is opened.

    Raises: InvalidKey.
    """
    key = None if tenant_id is None else company_key(tenant_id, platform)
    return cast("AsyncSession", CompanyUnits(door, key, platform))


class BaseRepository(AsyncRepository[M], Generic[M]):
    """What repositories of one's own begin with: ``super().__init__(Conversation, tenant_id, platform)``; awaited.

    Each call is a unit of work of its own, in the company's walls: ``await self.query().filter(…).all()``.
    """

    def __init__(self, model: type[M], tenant_id: Any = None, platform: str | None = None) -> None:
        super().__init__(calls(tenant_id, platform), model=model)
        self.tenant_id = tenant_id
        self.platform = platform


class CompanyObjects(AsyncIntegratedObjectRepository):
    """Objects of a company; without one, and outside requests, new ones are of the company that their data name."""

    async def create(
        self, given: IntegratedObject | Mapping[str, Any] | None = None, /, **values: Any
    ) -> IntegratedObject:
        """Returns a new object of this repository's company, or of the one that ``tenant_id`` and ``platform`` name.

        Raises: UnknownField, CrossTenant, TenantNotFound; TenantRequired where none is named.
        """
        if not isinstance(given, Mapping):
            return await super().create(given, **values)
        named = {**given, **values}
        return await AsyncIntegratedObjectRepository(self._units(named)).create(named)

    async def store(self, data: Mapping[str, Any]) -> IntegratedObject:
        """Returns the object of these data, changed where it is there already, by kind and original id.

        Raises: as ``create``.
        """
        named = {"object_type": "ticket", **data}
        return await AsyncIntegratedObjectRepository(self._units(named)).store(named)

    def _units(self, named: Mapping[str, Any]) -> AsyncSession:
        own: Any = self.session
        whole = bool(named.get("tenant_id") and named.get("platform"))
        if isinstance(own, CompanyUnits) and own.open and whole:
            # In a request of another company's the units refuse.
            return calls(named["tenant_id"], named["platform"])
        return self.session
