"""The relay: takes the streams of tenants by lease and delivers what is due, one event after the other."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal

from tenantry.errors import ConfigurationError, HandlerMissing, OutcomeUnknown, StreamLost
from tenantry.events import announce
from tenantry.outbox.core import Handler, Outbox
from tenantry.outbox.events import Event, EventState
from tenantry.outbox.streams import Lease, Sight, Streams
from tenantry.session.core import TenantSession
from tenantry.types import Outcomes, Tenant, TenantKey

_log: Final = logging.getLogger(__name__)

_LONGEST_ERROR: Final = 500
_BETWEEN_LOOKS: Final = 0.25
_BATCHES_A_TURN: Final = 10


@dataclass(frozen=True, slots=True)
class Backoff:
    """How many seconds an event rests after each failure: half of a growing time, and a random part of the rest."""

    first: float = 1.0
    factor: float = 2.0
    longest: float = 300.0
    rng: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def seconds(self, attempt: int) -> float:
        """Returns the rest after the failure of this attempt, the first being 1."""
        # Powers beyond any limit would overflow.
        whole = min(self.longest, self.first * self.factor ** min(attempt - 1, 64))
        return whole * (1 + self.rng.random()) / 2


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the events of one tenant in one go."""

    delivered: int = 0
    failed: int = 0
    parked: int = 0

    def __add__(self, other: Delivery) -> Delivery:
        return Delivery(self.delivered + other.delivered, self.failed + other.failed, self.parked + other.parked)


@dataclass(slots=True)
class _Turn:
    """One relay's time with one stream; it may hand over events until its deadline."""

    key: TenantKey
    lease: Lease
    limit: int | None = None
    total: Delivery = Delivery()
    deadline: float = 0.0
    over: bool = False

    @property
    def cut(self) -> bool:
        """Whether it has had its share."""
        return self.limit is not None and self.total.delivered >= self.limit


class Relay:
    """Delivers the events of an outbox; any number of relays and processes may do so at once.

    One of them at a time has a tenant's stream, and has it for *lease* seconds after each event at most: longer than
    any handler takes. An event that failed *attempts* times is parked; then the tenant's later events wait behind it
    (``on_parked="block"``) or are delivered past it (``"skip"``).

    Raises: ConfigurationError for limits that let nothing through.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        attempts: int = 10,
        on_parked: Literal["block", "skip"] = "block",
        backoff: Backoff | None = None,
        lease: float = 60.0,
        batch: int = 100,
        jobs: int = 4,
    ) -> None:
        if min(attempts, lease, batch, jobs) <= 0 or on_parked not in ("block", "skip"):
            raise ConfigurationError(
                what="A relay's attempts, lease, batch and jobs are above nought; on_parked is 'block' or 'skip'.",
                fix="Leave them out for what is usual.",
            )
        self._outbox = outbox
        self._streams = Streams(outbox.tables)
        self._attempts = attempts
        self._skipping = on_parked == "skip"
        self._backoff = backoff or Backoff()
        self._seconds = lease
        self._batch = batch
        self._jobs = jobs
        self._stopped = threading.Event()

    def __repr__(self) -> str:
        return f"Relay({self._outbox!r})"

    def deliver(self, key: TenantKey) -> Delivery:
        """Delivers what is due of one tenant until nothing is, or until an event failed.

        Raises: as ``tenancy.session``; what a handler raises is kept with the event.
        """
        return self._take_turn(_Turn(key, Lease(uuid.uuid4(), self._seconds))).total

    def sweep(self, tenants: Iterable[TenantKey] | None = None) -> Outcomes:
        """Delivers what is due of *tenants*, or of every active one, several at a time.

        It looks at each tenant in one short transaction that writes nothing. The outcomes name those that had events.

        Raises: LoginRequired without *tenants* and a login that lists them.
        """
        done: dict[Any, Delivery] = {}
        failed: dict[Any, BaseException] = {}
        left: Iterable[TenantKey] = self._outbox.tenancy.every_tenant() if tenants is None else tenants
        while left:
            with ThreadPoolExecutor(self._jobs) as pool:
                visits = [(tenant, pool.submit(self._visit, tenant, done, failed)) for tenant in left]
            left = [tenant for tenant, visit in visits if visit.result() is Sight.DUE]
        return Outcomes(done, failed, {})

    def run(self, *, every: float = 5.0, tenants: Callable[[], Iterable[TenantKey]] | None = None) -> None:
        """Delivers until ``stop`` is called: at once what this process commits, the rest in a sweep *every* so often.

        Raises: LoginRequired without *tenants* and a login that lists them.
        """
        chosen = tenants or self._outbox.tenancy.every_tenant
        next(iter(chosen()), None)
        sweeping = threading.Thread(target=self._sweep_regularly, args=(every, chosen), name="tenantry-outbox-sweep")
        sweeping.start()
        try:
            with ThreadPoolExecutor(self._jobs) as pool:
                while not self._stopped.is_set():
                    tenant = self._outbox.hints.take(self._stopped)
                    if tenant is not None:
                        pool.submit(self._follow, tenant)
        finally:
            self.stop()
            sweeping.join()

    def stop(self) -> None:
        """Has ``run`` return after the events in hand; callable from a signal handler. A stopped relay stays so."""
        self._stopped.set()
        self._outbox.hints.wake()

    def _sweep_regularly(self, every: float, tenants: Callable[[], Iterable[TenantKey]]) -> None:
        while not self._stopped.is_set():
            try:
                self.sweep(tenants())
            except Exception:  # a catalog that is away for a while comes back
                _log.exception("looking for tenants with events failed; it is done again in %s s", every)
            self._stopped.wait(every)

    def _follow(self, tenant: uuid.UUID) -> None:
        seen = self._visit(tenant, {}, {})
        if seen is Sight.DUE:
            self._outbox.hints.add(tenant)
        elif seen is Sight.HELD:
            # Who has the stream may have looked for the last time just before this hint's event was there.
            self._outbox.hints.add(tenant, after=_BETWEEN_LOOKS)

    def _visit(self, tenant: TenantKey, done: dict[Any, Delivery], failed: dict[Any, BaseException]) -> Sight:
        """Delivers some of what is due of one tenant, so that others have their turn, and returns what is left."""
        named, seen = tenant.id if isinstance(tenant, Tenant) else tenant, Sight.NOTHING
        try:
            if not self._stopped.is_set() and (seen := self._look(tenant)) is Sight.DUE:
                lease = Lease(uuid.uuid4(), self._seconds)
                turn = self._take_turn(_Turn(tenant, lease, limit=self._batch * _BATCHES_A_TURN))
                done[named] = done.get(named, Delivery()) + turn.total
                seen = Sight.DUE if turn.cut else Sight.NOTHING
        except Exception as error:  # whatever one tenant's database says holds up no other
            failed[named] = error
            announce("outbox", "tenant failed", tenant=tenant, error=error)
            _log.warning("the outbox of tenant %s could not be delivered: %s", _shown(tenant), type(error).__name__)
            return Sight.NOTHING
        return seen

    def _take_turn(self, turn: _Turn) -> _Turn:
        try:
            while not turn.over and (events := self._next(turn)):
                self._deliver_batch(turn, events)
        except StreamLost:
            announce("outbox", "stream lost", tenant=turn.key)
            _log.warning("another relay took over the outbox of tenant %s", _shown(turn.key))
        except BaseException:
            # The lease would hold everybody up; where even this fails, it ends by itself.
            with contextlib.suppress(Exception), self._outbox.tenancy.transaction(turn.key) as session:
                self._streams.release(session, turn.lease)
            raise
        return turn

    def _look(self, key: TenantKey) -> Sight:
        with self._outbox.tenancy.session(key, read_only=True) as session:
            return self._streams.look(session)

    def _next(self, turn: _Turn) -> list[Event]:
        """Returns the next events with the stream held, or none with the stream let go."""
        with self._transaction(turn) as session:
            if self._stopped.is_set() or turn.cut:
                self._streams.release(session, turn.lease)
                return []
            if not self._streams.take(session, turn.lease):
                return []
            self._streams.number(session, limit=self._batch)
            events = self._streams.due(session, limit=self._batch, skipping=self._skipping)
            if not events:
                self._streams.release(session, turn.lease)
            return events

    def _deliver_batch(self, turn: _Turn, events: list[Event]) -> None:
        for event in events:
            # Whoever was held up for longer than the lease asks first whether the stream is still its own.
            if self._stopped.is_set() or time.monotonic() >= turn.deadline:
                return
            announce("outbox", "deliver", event=event)
            error = self._hand_over(turn, event)
            if error is not None:
                self._note_failure(turn, event, error)
                return
            turn.total += Delivery(delivered=1)
            announce("outbox", "acknowledged", event=event)

    def _hand_over(self, turn: _Turn, event: Event) -> Exception | None:
        """Has an event handled and acknowledges it, or returns what its handler raised."""
        try:
            handler = self._outbox.handler_of(event.topic)
            if handler.transactional:
                self._acknowledge(turn, event, partial(handler.call, event))
                return None
            _call(handler, event)
        except (StreamLost, OutcomeUnknown):
            raise
        except Exception as error:  # whatever a handler raises is its event's affair
            return error
        self._acknowledge(turn, event)
        return None

    def _acknowledge(
        self, turn: _Turn, event: Event, within: Callable[[TenantSession], object] = lambda _: None
    ) -> None:
        with self._transaction(turn) as session:
            self._streams.renew(session, turn.lease)
            within(session)
            self._streams.note(session, event, EventState.DELIVERED, attempts=event.attempts + 1)

    def _note_failure(self, turn: _Turn, event: Event, error: Exception) -> None:
        # Where nobody takes the topic nothing was attempted: another process may know it, or this one's successor.
        attempts = event.attempts + (not isinstance(error, HandlerMissing))
        parks = attempts >= self._attempts
        told = f"{type(error).__name__}: {error}".replace("\0", "")[:_LONGEST_ERROR]
        with self._transaction(turn) as session:
            self._streams.renew(session, turn.lease)
            state = EventState.PARKED if parks else EventState.WAITING
            self._streams.note(session, event, state, attempts=attempts, error=told)
            if not parks:
                rest = self._backoff.seconds(max(attempts, 1))
                self._streams.release(session, turn.lease, due_in=rest)
                self._outbox.hints.add(session.tenant.id, after=rest)
        turn.over = not parks
        turn.total += Delivery(failed=1, parked=int(parks))
        announce("outbox", "parked" if parks else "failed", event=event, error=error)
        _log.warning("event %s of topic %r failed: %s", event.id, event.topic, type(error).__name__)

    @contextlib.contextmanager
    def _transaction(self, turn: _Turn) -> Iterator[TenantSession]:
        began = time.monotonic()
        with self._outbox.tenancy.transaction(turn.key) as session:
            yield session
        turn.deadline = began + turn.lease.seconds


def _call(handler: Handler, event: Event) -> None:
    result = handler.call(event)
    if inspect.isawaitable(result):
        asyncio.run(_whole(result))


async def _whole(result: Any) -> None:
    await result


def _shown(key: TenantKey) -> object:
    return key.id if isinstance(key, Tenant) else key
