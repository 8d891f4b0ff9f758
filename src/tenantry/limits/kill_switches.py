"""Kill switches: a tenant, or one of its workflows, is stopped at once, with a reason, on the record."""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import inspect
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    String,
    Text,
    and_,
    case,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from tenantry.errors import ConfigurationError, KillSwitchActive
from tenantry.limits.obeying import ask_at_begin
from tenantry.models.columns import UTCDateTime, utc_now
from tenantry.session.clock import moment, on_postgresql
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry.limits.kill_switches_aio import AsyncKillSwitches

P = ParamSpec("P")
R = TypeVar("R")

# The workflow of a switch for the whole tenant: a value, since NULLs are distinct in a key.
WHOLE_TENANT: Final = ""
_LONGEST: Final = 255


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """A switch that is active; a workflow of None is the whole tenant, a time of None is never."""

    workflow: str | None
    reason: str
    by: str | None
    activated_at: datetime.datetime
    expires_at: datetime.datetime | None


class KillSwitches:
    """Stops what a tenant does, or one workflow of it; whoever asks ``guard`` first is stopped.

    *audit* is called in the transaction that throws or releases a switch; ``Audit(tenancy).record`` is such a one.

    Raises: as ``Tenancy.table``.
    """

    def __init__(
        self, tenancy: Tenancy, *, audit: Callable[..., Any] | None = None, table: str = "kill_switches"
    ) -> None:
        self.tenancy = tenancy
        self._audit = audit
        self._table = tenancy.table(
            table,
            Column("workflow", String(_LONGEST), primary_key=True),
            Column("is_active", Boolean, nullable=False),
            Column("reason", Text, nullable=False),
            Column("activated_by", String(_LONGEST)),
            Column("activated_at", UTCDateTime(), nullable=False),
            Column("expires_at", UTCDateTime()),
            Column("deactivated_by", String(_LONGEST)),
            Column("deactivated_at", UTCDateTime()),
            CheckConstraint("is_active OR deactivated_at IS NOT NULL", name=f"ck_{table}_deactivated"),
            behaviour="KillSwitches",
        )

    def __repr__(self) -> str:
        return f"<KillSwitches in {self._table.name!r}>"

    @functools.cached_property
    def aio(self) -> AsyncKillSwitches:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.limits.kill_switches_aio import AsyncKillSwitches  # noqa: PLC0415  # needs greenlet

        return AsyncKillSwitches(self)

    def activate(
        self,
        session: TenantSession,
        *,
        reason: str,
        workflow: str | None = None,
        by: object = None,
        seconds: float | None = None,
    ) -> KillSwitch:
        """Stops the workflow, or the whole tenant, from the commit on, for so many seconds or until it is released.

        A switch that is active already is prolonged, never shortened. *by* is ``session.info["actor"]`` unless given.

        Raises: ConfigurationError without a reason, or for a workflow that cannot be one.
        """
        if not reason.strip():
            raise ConfigurationError(what="A kill switch was given no reason.", fix="Say why: reason='ticket 4711'.")
        actor = _actor(session, by)
        expiry = None if seconds is None else moment(session, later=seconds)
        row = self._put(session, _named(workflow), {"reason": reason, "activated_by": actor}, expiry)
        self._record(session, "kill_switch.activated", workflow, reason=reason, by=actor, expires_at=row.expires_at)
        return _switch(row)

    def deactivate(
        self, session: TenantSession, *, workflow: str | None = None, reason: str | None = None, by: object = None
    ) -> bool:
        """Releases the switch of the workflow, or of the whole tenant, and says whether it was active.

        Raises: ConfigurationError for a workflow that cannot be one.
        """
        actor = _actor(session, by)
        off = {"is_active": False, "deactivated_by": actor, "deactivated_at": moment(session)}
        active = (*self._own(session), self._table.c.workflow == _named(workflow), self._holds(session))
        released = update(self._table).where(*active).values(off).returning(self._table.c.workflow)
        if session.execute(released).first() is None:
            return False
        self._record(session, "kill_switch.deactivated", workflow, reason=reason, by=actor)
        return True

    def is_active(self, session: TenantSession, *, workflow: str | None = None) -> bool:
        """Whether the tenant is stopped, or the workflow if one is given."""
        return self._first(session, workflow) is not None

    def active(self, session: TenantSession) -> list[KillSwitch]:
        """Returns every switch that is active, the whole tenant's first."""
        statement = self._selected(session).order_by(self._table.c.workflow)
        return [_switch(row) for row in session.execute(statement)]

    def guard(self, session: TenantSession, *, workflow: str | None = None) -> None:
        """Lets the transaction go on if nothing stops it, and has ``drain`` wait for its end.

        Raises: KillSwitchActive.
        """
        self._guard(session, session, workflow)

    def drain(self, key: TenantKey, *, workflow: str | None = None, seconds: float = 5.0) -> bool:
        """Waits until every transaction that passed the guard before the switch was thrown is over.

        Returns whether all were, in that time. Call it after the transaction of ``activate`` has committed.
        """
        with self.tenancy.session(key) as session:
            return self._drained(session, workflow, seconds)

    def guarded(self, workflow: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorates a function, plain or async, whose first argument is a session: it is guarded before it runs."""

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            if inspect.iscoroutinefunction(function):
                return self._guarded_async(function, workflow)

            @functools.wraps(function)
            def run(*args: P.args, **kwargs: P.kwargs) -> R:
                self.guard(args[0], workflow=workflow)  # type: ignore[arg-type]  # the session, by contract
                return function(*args, **kwargs)

            return run

        return decorate

    def session(self, key: TenantKey, *, workflow: str | None = None, **options: Any) -> TenantSession:
        """Opens a session, for a ``with`` block, each transaction of which is guarded as it begins.

        Raises: as ``Tenancy.session``; its statements raise KillSwitchActive.
        """
        session = self.tenancy.session(key, **options)
        self.watch(session, workflow)
        return session

    @contextlib.contextmanager
    def transaction(self, key: TenantKey, *, workflow: str | None = None, **options: Any) -> Iterator[TenantSession]:
        """Opens such a session, commits on leaving, and rolls back on an error.

        Raises: as ``session``, and OutcomeUnknown.
        """
        with self.session(key, workflow=workflow, **options) as session:
            yield session
            session.commit()

    def watch(self, session: TenantSession, workflow: str | None = None) -> None:
        """Has every transaction of a session from now on guarded as it begins."""
        _named(workflow)
        ask_at_begin(session, lambda connection: self._guard(session, connection, workflow))

    def _guarded_async(self, function: Callable[..., Any], workflow: str | None) -> Callable[..., Any]:
        @functools.wraps(function)
        async def run(*args: Any, **kwargs: Any) -> Any:
            await self.aio.guard(args[0], workflow=workflow)
            return await function(*args, **kwargs)

        return run

    def _guard(self, session: TenantSession, on: TenantSession | Connection, workflow: str | None) -> None:
        alone = on_postgresql(session) and not self._share(session, on, workflow)
        found = self._first(session, workflow, on)
        if found is None and alone:
            # Somebody is draining, and the switch that they threw is released already.
            for key in _lock_keys(session.tenant.id, workflow):
                on.execute(select(func.pg_advisory_xact_lock_shared(key)))
            found = self._first(session, workflow, on)
        if found is not None:
            raise KillSwitchActive(
                what=_called(found.workflow),
                reason=found.reason if found.reason.endswith((".", "!", "?")) else f"{found.reason}.",
                workflow=found.workflow or None,
                retry_after=_seconds_until(found.expires_at),
            )

    def _share(self, session: TenantSession, on: TenantSession | Connection, workflow: str | None) -> bool:
        """Takes the locks that ``drain`` waits for, without waiting; the look at the switches must be a statement of
        its own after it, or it would see them as they stood before the locks."""
        keys = _lock_keys(session.tenant.id, workflow)
        return all(on.execute(select(*(func.pg_try_advisory_xact_lock_shared(key) for key in keys))).one())

    def _drained(self, session: TenantSession, workflow: str | None, seconds: float) -> bool:
        if not on_postgresql(session):
            # Whoever writes holds the file's lock from the beginning, so none of them is under way beside this.
            session.execute(select(self._table.c.workflow).where(*self._own(session)).limit(1))
            return True
        session.execute(text(f"SET LOCAL lock_timeout = {max(1, int(seconds * 1000))}"))
        try:
            # The last: the workflow's where one is given, else the tenant's.
            session.execute(select(func.pg_advisory_xact_lock(_lock_keys(session.tenant.id, workflow)[-1])))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            return False
        return True

    def _first(
        self, session: TenantSession, workflow: str | None, on: TenantSession | Connection | None = None
    ) -> Row[Any] | None:
        names = {WHOLE_TENANT, _named(workflow)}
        statement = self._selected(session).where(self._table.c.workflow.in_(sorted(names)))
        return (on or session).execute(statement.order_by(self._table.c.workflow).limit(1)).first()

    def _selected(self, session: TenantSession) -> Select[Any]:
        return select(self._table).where(*self._own(session), self._holds(session))

    def _own(self, session: TenantSession) -> tuple[ColumnElement[bool]]:
        return (self._table.c.tenant_id == session.tenant.id,)

    def _holds(self, session: TenantSession) -> ColumnElement[bool]:
        columns = self._table.c
        return and_(columns.is_active, or_(columns.expires_at.is_(None), columns.expires_at > moment(session)))

    def _put(
        self, session: TenantSession, workflow: str, said: dict[str, Any], expiry: ColumnElement[Any] | None
    ) -> Row[Any]:
        key = {"tenant_id": session.tenant.id, "workflow": workflow}
        now = moment(session)
        fresh = {**said, "is_active": True, "activated_at": now, "expires_at": expiry}
        changes = {**fresh, "deactivated_by": None, "deactivated_at": None, **self._prolonged(session, expiry)}
        if on_postgresql(session):
            statement = postgresql.insert(self._table).values({**key, **fresh})
            upsert = statement.on_conflict_do_update(index_elements=list(key), set_=changes)
            return session.execute(upsert.returning(*self._table.c)).one()
        columns = self._table.c
        changing = update(self._table).where(*self._own(session), columns.workflow == workflow).values(changes)
        found = session.execute(changing.returning(*columns)).first()
        return found or session.execute(insert(self._table).values({**key, **fresh}).returning(*columns)).one()

    def _prolonged(self, session: TenantSession, expiry: ColumnElement[Any] | None) -> dict[str, ColumnElement[Any]]:
        """Returns the times of a row that is there: a switch that is active stays so at least as long as it would."""
        columns, holds, now = self._table.c, self._holds(session), moment(session)
        longer = or_(columns.expires_at.is_(None), columns.expires_at > expiry) if expiry is not None else None
        kept = expiry if longer is None else case((and_(holds, longer), columns.expires_at), else_=expiry)
        times: dict[str, Any] = {"activated_at": case((holds, columns.activated_at), else_=now), "expires_at": kept}
        return times

    def _record(
        self,
        session: TenantSession,
        event_type: str,
        workflow: str | None,
        *,
        reason: str | None,
        by: str | None,
        expires_at: datetime.datetime | None = None,
    ) -> None:
        if self._audit is None:
            return
        expiry = None if expires_at is None else expires_at.isoformat()
        self._audit(
            session,
            event_type=event_type,
            category="limits",
            description=f"{_called(workflow)}: {reason or 'released'}",
            details={"workflow": workflow, "reason": reason, "expires_at": expiry},
            actor=by,
        )


_LOCK_NOT_AVAILABLE: Final = "55P03"


def _lock_keys(tenant: uuid.UUID, workflow: str | None) -> list[int]:
    """Returns the keys of the advisory locks of the tenant and, if one is given, of the workflow."""
    names = [WHOLE_TENANT] if workflow is None else [WHOLE_TENANT, workflow]
    return [_lock_key(tenant, name) for name in names]


def _lock_key(tenant: uuid.UUID, name: str) -> int:
    digest = hashlib.blake2b(tenant.bytes + name.encode(), digest_size=8, person=b"kill switch")
    return int.from_bytes(digest.digest(), signed=True)


def _named(workflow: str | None) -> str:
    if workflow is None:
        return WHOLE_TENANT
    if not isinstance(workflow, str) or not workflow or len(workflow) > _LONGEST:
        raise ConfigurationError(
            what=f"{workflow!r} is no name of a workflow.", fix=f"Give 1 to {_LONGEST} characters, or None for all."
        )
    return workflow


def _called(workflow: str | None) -> str:
    return f"The workflow {workflow!r}" if workflow else "All work"


def _actor(session: TenantSession, by: object) -> str | None:
    actor = session.info.get("actor") if by is None else by
    return None if actor is None else str(actor)


def _switch(row: Row[Any]) -> KillSwitch:
    return KillSwitch(row.workflow or None, row.reason, row.activated_by, row.activated_at, row.expires_at)


def _seconds_until(moment: datetime.datetime | None) -> float | None:
    """Returns how long it is until then, never less than nought, and None for never."""
    return None if moment is None else max(0.0, (moment - utc_now()).total_seconds())
