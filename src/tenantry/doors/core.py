"""A pack's process-wide door: one tenancy for functions that are handed none, and sessions that find their tenant."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from tenantry.doors.asking import asking
from tenantry.doors.naming import Names
from tenantry.doors.session import late_kind
from tenantry.doors.ways import PlainWay, Way
from tenantry.errors import TenantsDisagree
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, TenantKey

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from tenantry.doors.aio import AsyncDoor

P = TypeVar("P")


class Door(Generic[P]):
    """The way in for functions that name no tenancy, and perhaps no tenant: one for each pack of models.

    Its tenancy is the one it was given by ``use``, or else the one that the environment describes, made once.

    Args:
        name: what the door is called in a repr.
        models: the declarative base.
        opens: makes the tenancy where none was given, of the models; by default what the environment describes.
        make: called with the tenancy before anything is opened; what it returns is the door's ``pack``.
        identities: by kind, the attribute of the tenants' record that holds such an identity, or several: new records
            are registered by them, and statements that ask for one find their tenant.
        called: the attribute of a record that says the tenant's name.
        slug: returns a new record's slug; otherwise it is made from the name.
        isolation: where tenants of new records are placed, and with *server* on which.
    """

    def __init__(
        self,
        name: str,
        models: Any,
        *,
        opens: Callable[[Any], Tenancy] = Tenancy.from_env,
        make: Callable[[Tenancy], P] | None = None,
        identities: Mapping[str, str | Sequence[str]] | None = None,
        called: str = "name",
        slug: Callable[[Any], str] | None = None,
        isolation: Isolation | None = None,
        server: str | None = None,
    ) -> None:
        self.name = name
        self.models = models
        self.names = Names(models, identities=identities or {}, called=called, slug=slug)
        self._opens = opens
        self._make = make
        self._place = {"isolation": isolation, "server": server}
        self._lock = threading.RLock()
        self._made: tuple[Tenancy, P | None] | None = None
        self._own = False
        self._aio: AsyncDoor | None = None

    def __repr__(self) -> str:
        return f"<Door of {self.name}>"

    @property
    def aio(self) -> AsyncDoor:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        if self._aio is None:
            from tenantry.doors.aio import AsyncDoor  # noqa: PLC0415  # needs greenlet

            self._aio = AsyncDoor(self)
        return self._aio

    @property
    def opened(self) -> bool:
        """Whether there is a tenancy already."""
        return self._made is not None

    @property
    def tenancy(self) -> Tenancy:
        """The tenancy.

        Raises: ConfigurationError where none was given and the environment describes none.
        """
        return self._open()[0]

    @property
    def pack(self) -> P:
        """What *make* made of the tenancy.

        Raises: as ``tenancy``.
        """
        return self._open()[1]  # type: ignore[return-value]  # asked for by doors that have a *make*

    def use(self, tenancy: Tenancy, pack: P | None = None) -> None:
        """Has the door lead into a tenancy that stays the caller's to close; *pack* is what was made of it."""
        made = self._make(tenancy) if pack is None and self._make else pack
        with self._lock:
            self.reset()
            self._made = tenancy, made

    def reset(self) -> None:
        """Forgets the tenancy, and closes it where the door made it; the next use looks at the environment again."""
        with self._lock:
            made, own = self._made, self._own
            self._made, self._own = None, False
            if made is not None and own:
                made[0].close()

    def session(self, key: TenantKey | None = None) -> TenantSession:
        """Opens a session of the tenant that *key* finds, else of the job's or the request's that runs here; else it
        has none until one is named.

        Raises: TenantsDisagree in a job or request where *key* finds another tenant than its own, or none;
            TenantRequired in a request that is to have no tenant; as ``tenancy.session``; ConfigurationError.
        """
        tenancy, here = self.tenancy, asking()
        if key is not None:
            if here.tenant is not None and not tenancy.router.finds(key, here.tenant):
                raise TenantsDisagree
            return tenancy.session(key)
        if here.tenant is not None:
            session = tenancy.session(here.tenant)
            session.info.update(here.facts)
            return session
        return late_kind()(info={"tenancy": tenancy, **here.facts}, **self.session_options(PlainWay(tenancy)))

    @contextlib.contextmanager
    def transaction(self, key: TenantKey | None = None) -> Iterator[TenantSession]:
        """Opens the same, commits on leaving, and rolls back on an error.

        Raises: as ``session``, and OutcomeUnknown.
        """
        with self.session(key) as session:
            yield session
            session.commit()

    def repository_calls(self, key: TenantKey | None = None) -> AsyncSession:
        """Returns what an async repository takes for a session, to make each of its calls a unit of work of its own.

        Nothing is opened here. Only what repositories ask of a session is there.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.doors.units import Units  # noqa: PLC0415  # needs greenlet

        return cast("AsyncSession", Units(self, key))

    def session_options(self, way: Way) -> dict[str, Any]:
        """Returns what a session that finds its tenant late is made with."""
        return {"way": way, "names": self.names, **self._place}

    def _open(self) -> tuple[Tenancy, P | None]:
        if self._made is None:
            with self._lock:
                if self._made is None:
                    tenancy = self._opens(self.models)
                    self._made = tenancy, self._make(tenancy) if self._make else None
                    self._own = True
        return self._made
