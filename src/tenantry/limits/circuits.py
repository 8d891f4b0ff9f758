"""How breakers stand and change: a row each, and one statement for every change of state."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    Integer,
    Row,
    String,
    Table,
    Update,
    and_,
    case,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql

from tenantry.errors import ConfigurationError
from tenantry.models.behaviours import Declares
from tenantry.models.columns import UTCDateTime
from tenantry.session.clock import moment, on_postgresql
from tenantry.session.core import TenantSession
from tenantry.types import TenantKey

_LONGEST: Final = 255


class CircuitState(enum.StrEnum):
    """Calls go through, none does, or a few do to try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When a breaker opens, for how long, and what closes it again; times are in seconds.

    It opens at so many *failures*: one after another, or within a *window*. After the *cool_down* at most so many
    *probes* are under way at once; one that never reports counts as lost after the *lease*. So many *successes* of
    probes close it, one failure opens it again.

    Raises: ConfigurationError for a number that cannot be.
    """

    failures: int = 5
    window: float | None = None
    cool_down: float = 60.0
    probes: int = 1
    successes: int = 1
    lease: float = 30.0

    def __post_init__(self) -> None:
        counts = {"failures": self.failures, "probes": self.probes, "successes": self.successes}
        wrong = [name for name, count in counts.items() if count < 1]
        times = {"window": self.window or 1.0, "lease": self.lease, "cool_down": self.cool_down or 1.0}
        wrong += [name for name, time in times.items() if time <= 0]
        if wrong:
            raise ConfigurationError(what=f"{', '.join(wrong)} of a breaker cannot be that.", fix="Give more than 0.")


@dataclass(frozen=True, slots=True)
class Permit:
    """The answer to whether a call may be made; true if it may. Report what became of the call with it."""

    key: TenantKey
    name: str
    allowed: bool
    generation: int = 0
    failures: int = 0
    probe: bool = False
    retry_after: float = 0.0

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class Circuit:
    """How a breaker stands; ``retry_after`` is when an open one lets the next probe through."""

    name: str
    state: CircuitState
    failures: int
    retry_after: float


def breakers_table(models: Declares, name: str) -> Table:
    """Returns the table of the breakers, added to the models.

    Raises: as ``Tenancy.table``.
    """
    return models.table(
        name,
        Column("name", String(_LONGEST), primary_key=True),
        Column("state", String(10), nullable=False),
        # Rises at every change of state, so that a report of a call that began before it is told apart.
        Column("generation", Integer, nullable=False),
        Column("failures", Integer, nullable=False),
        Column("failing_since", UTCDateTime()),
        Column("opened_at", UTCDateTime()),
        Column("probes", Integer, nullable=False),
        Column("probes_until", UTCDateTime()),
        Column("successes", Integer, nullable=False),
        CheckConstraint("state IN ('closed', 'open', 'half_open')", name=f"ck_{name}_state"),
        CheckConstraint("failures >= 0 AND probes >= 0 AND successes >= 0", name=f"ck_{name}_counts"),
        behaviour="Breakers",
    )


class Circuits:
    """The breakers of tenants; each method runs in the transaction of the session it is given."""

    def __init__(self, table: Table, policy: Policy, policies: Mapping[str, Policy]) -> None:
        self._table = table
        self._policy = policy
        self._policies = dict(policies)

    def look(self, session: TenantSession, key: TenantKey, name: str) -> Permit | None:
        """Answers by reading alone, or returns None where only a change of the row can decide."""
        row, policy = self._row(session, _named(name)), self._of(name)
        if row is None:
            return Permit(key, name, allowed=True)
        if row.state == CircuitState.CLOSED:
            return Permit(key, name, allowed=True, generation=row.generation, failures=row.failures)
        wait = _wait(row, policy)
        return Permit(key, name, allowed=False, retry_after=wait) if wait > 0 else None

    def probe(self, session: TenantSession, key: TenantKey, name: str) -> Permit:
        """Takes one of the places of the probes, if one is free."""
        columns, policy = self._table.c, self._of(name)
        cooled = and_(columns.state == CircuitState.OPEN, columns.opened_at <= moment(session, later=-policy.cool_down))
        half = columns.state == CircuitState.HALF_OPEN
        lost = and_(half, columns.probes_until <= moment(session))
        anew = or_(cooled, lost)
        values = {
            "state": CircuitState.HALF_OPEN,
            "generation": columns.generation + case((anew, 1), else_=0),
            "probes": case((anew, 1), else_=columns.probes + 1),
            "successes": case((anew, 0), else_=columns.successes),
            "probes_until": moment(session, later=policy.lease),
        }
        free = or_(anew, and_(half, columns.probes < policy.probes))
        taking = self._changing(session, name).where(free).values(values)
        taken = session.execute(taking.returning(columns.generation)).first()
        if taken is not None:
            return Permit(key, name, allowed=True, generation=taken.generation, probe=True)
        row = self._row(session, name)
        if row is None or row.state == CircuitState.CLOSED:
            return Permit(key, name, allowed=True, generation=row.generation if row else 0)
        return Permit(key, name, allowed=False, retry_after=max(_wait(row, policy), 0.001))

    def matters(self, permit: Permit) -> bool:
        """Whether a success of the call changes anything; failures since it began are not undone by it."""
        return permit.probe or (permit.failures > 0 and self._of(permit.name).window is None)

    def succeed(self, session: TenantSession, permit: Permit) -> None:
        """Closes the breaker if it is the last success that is wanted of probes; else failures are forgotten."""
        columns, policy = self._table.c, self._of(permit.name)
        if not permit.probe:
            forgetting = self._changing(session, permit.name).where(columns.state == CircuitState.CLOSED)
            session.execute(forgetting.where(columns.generation == permit.generation).values(failures=0))
            return
        closes = columns.successes + 1 >= policy.successes
        values = {
            "state": case((closes, CircuitState.CLOSED), else_=columns.state),
            "generation": columns.generation + case((closes, 1), else_=0),
            "failures": case((closes, 0), else_=columns.failures),
            "probes": case((closes, 0), else_=columns.probes - 1),
            "successes": case((closes, 0), else_=columns.successes + 1),
        }
        session.execute(self._probing(session, permit).values(values))

    def fail(self, session: TenantSession, permit: Permit) -> None:
        """Counts a failure, and opens the breaker if it is the last that is borne."""
        failing = self._failing(session, permit)
        if session.execute(failing.returning(self._table.c.name)).first() is None and permit.generation == 0:
            self._begin(session, permit.name)
            session.execute(failing)

    def let_go(self, session: TenantSession, permit: Permit) -> None:
        """Gives the place of a probe back."""
        session.execute(self._probing(session, permit).values(probes=self._table.c.probes - 1))

    def close(self, session: TenantSession, name: str) -> None:
        """Closes a breaker, however it stands."""
        generation = self._table.c.generation + 1
        nought = {"failures": 0, "probes": 0, "successes": 0}
        values = {"state": CircuitState.CLOSED, "generation": generation, **nought}
        session.execute(self._changing(session, _named(name)).values(values))

    def standing(self, session: TenantSession, name: str) -> Circuit:
        """Returns how a breaker stands, in the transaction of *session*."""
        row = self._row(session, _named(name))
        if row is None:
            return Circuit(name, CircuitState.CLOSED, 0, 0.0)
        wait = 0.0 if row.state == CircuitState.CLOSED else max(0.0, _wait(row, self._of(name)))
        return Circuit(name, CircuitState(row.state), row.failures, wait)

    def _probing(self, session: TenantSession, permit: Permit) -> Update:
        columns = self._table.c
        # A probe that was given up for lost belongs to another generation.
        still = (columns.state == CircuitState.HALF_OPEN, columns.generation == permit.generation, columns.probes > 0)
        return self._changing(session, permit.name).where(*still)

    def _failing(self, session: TenantSession, permit: Permit) -> Update:
        columns, policy, now = self._table.c, self._of(permit.name), moment(session)
        over = columns.failures == 0
        if policy.window is not None:
            over = or_(over, columns.failing_since <= moment(session, later=-policy.window))
        failures = case((over, 1), else_=columns.failures + 1)
        opens = or_(columns.state == CircuitState.HALF_OPEN, failures >= policy.failures)
        values = {
            "state": case((opens, CircuitState.OPEN), else_=columns.state),
            "generation": columns.generation + case((opens, 1), else_=0),
            "failures": failures,
            "failing_since": case((over, now), else_=columns.failing_since),
            "opened_at": case((opens, now), else_=columns.opened_at),
            "probes": 0,
            "successes": 0,
        }
        began = (columns.generation == permit.generation, columns.state != CircuitState.OPEN)
        return self._changing(session, permit.name).where(*began).values(values)

    def _begin(self, session: TenantSession, name: str) -> None:
        """Makes the row of a breaker that has none, closed."""
        key = {"tenant_id": session.tenant.id, "name": name}
        row = {**key, "state": CircuitState.CLOSED, "generation": 0, "failures": 0, "probes": 0, "successes": 0}
        if on_postgresql(session):
            session.execute(postgresql.insert(self._table).values(row).on_conflict_do_nothing())
        elif self._row(session, name) is None:
            session.execute(insert(self._table).values(row))

    def _row(self, session: TenantSession, name: str) -> Row[Any] | None:
        columns = self._table.c
        own = (columns.tenant_id == session.tenant.id, columns.name == name)
        return session.execute(select(self._table, moment(session).label("now")).where(*own)).first()

    def _changing(self, session: TenantSession, name: str) -> Update:
        return update(self._table).where(self._table.c.tenant_id == session.tenant.id, self._table.c.name == name)

    def _of(self, name: str) -> Policy:
        return self._policies.get(name, self._policy)


def _wait(row: Row[Any], policy: Policy) -> float:
    """Returns in how many seconds the next probe may go; nought or less where one may now."""
    if row.state == CircuitState.OPEN:
        return float((row.opened_at - row.now).total_seconds() + policy.cool_down)
    return 0.0 if row.probes < policy.probes else float((row.probes_until - row.now).total_seconds())


def _named(name: str) -> str:
    if not isinstance(name, str) or not name or len(name) > _LONGEST:
        raise ConfigurationError(what=f"{name!r} is no name of a breaker.", fix=f"Give 1 to {_LONGEST} characters.")
    return name
