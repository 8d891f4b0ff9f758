"""The observer of a tenancy: what its sessions do and how long it takes, told while it happens and afterwards."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session

from tenantry.errors import ConfigurationError
from tenantry.isolation.engines import pool_of
from tenantry.isolation.queues import Pool
from tenantry.isolation.servers import Server
from tenantry.observe.logs import ABOUT
from tenantry.observe.metrics import METRICS, NOBODY, OTHERS, Metrics, Snapshot
from tenantry.observe.pools import pools
from tenantry.observe.prometheus import Gauge, Labels, exposition
from tenantry.observe.tracking import SLOW_SECONDS
from tenantry.observe.transactions import Held, Open, Sent, Slow, Transaction, place_of_caller
from tenantry.observe.watching import watch_statements
from tenantry.observe.wording import shown
from tenantry.tenancy import Tenancy

if TYPE_CHECKING:
    from tenantry.observe.slow_log import SlowLog

_slow_log: Final = logging.getLogger("tenantry.slow")
_leak_log: Final = logging.getLogger("tenantry.leaks")
_observe_log: Final = logging.getLogger("tenantry.observe")
# How many holders of connections an error names.
_NAMED: Final = 5

# So many statements a transaction keeps: of more, times are added up, and listeners hear no more.
_MANY: Final = 1000

# Called with each transaction that is over.
Listener = Callable[[Transaction], None]
# Called with what was slow, and what its session knows of its request.
SlowListener = Callable[[Slow, Mapping[str, Any]], None]

_every: Final[WeakSet[Observer]] = WeakSet()


class Observer:
    """Counts and times what the sessions of a tenancy do; make one, right after the tenancy, and keep it.

    Args:
        metrics: where it is counted; by default with what ``@track_metrics`` counts.
        slow_threshold_s: a statement or a transaction that takes as long is kept, and logged as ``tenantry.slow``.
        keep: how many slow ones are kept.
        traced: notes the line of the program at which each transaction began, for some microseconds each.

    Raises: ConfigurationError for a tenancy that is observed already.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        *,
        metrics: Metrics = METRICS,
        slow_threshold_s: float = SLOW_SECONDS,
        keep: int = 200,
        traced: bool = False,
    ) -> None:
        if tenancy.watcher is not None:
            fix = "Keep the Observer that was made first."
            raise ConfigurationError(what="This tenancy has an Observer already.", fix=fix)
        self.tenancy = tenancy
        self.metrics = metrics
        self.slow_threshold_s = slow_threshold_s
        self._traced = traced
        self._slow: deque[Slow] = deque(maxlen=keep)
        self._leaked: deque[Open] = deque(maxlen=keep)
        self._open: dict[int, Transaction] = {}
        self._lost: deque[Transaction] = deque()
        self._when_gone = self._gone
        self._listeners: list[Listener] = []
        self._beginners: list[Callable[[Transaction], None]] = []
        self._slow_listeners: list[SlowListener] = []
        # Where what was slow is kept beyond this process.
        self.slow_log: SlowLog | None = None
        tenancy.watcher = self
        _every.add(self)
        tenancy.servers.on_engine(self._watch)

    def __repr__(self) -> str:
        return f"Observer({self.tenancy!r}, slow_threshold_s={self.slow_threshold_s:g})"

    def snapshot(self) -> Snapshot:
        """Returns all numbers as they are now."""
        self._tell_leaks()
        return self.metrics.snapshot()

    def slow(self) -> Sequence[Slow]:
        """Returns the slow statements and transactions of late, the slowest first."""
        return sorted(self._slow, key=lambda found: found.seconds, reverse=True)

    def open_transactions(self, *, older_than: float = 0.0) -> Sequence[Open]:
        """Returns the transactions that are not over and began so many seconds ago, the oldest first."""
        found = [transaction.now() for transaction in list(self._open.values())]
        return sorted((one for one in found if one.seconds >= older_than), key=lambda one: one.seconds, reverse=True)

    def leaked(self) -> Sequence[Open]:
        """Returns the sessions of late that were thrown away without being closed, the newest first."""
        self._tell_leaks()
        return list(reversed(self._leaked))

    def prometheus(self) -> str:
        """Returns all numbers in the text format that Prometheus reads."""
        return exposition(self.snapshot(), [self._open_gauge(), *self._pool_gauges()])

    def listen(self, listener: Listener, *, began: Callable[[Transaction], None] | None = None) -> Callable[[], None]:
        """Has *listener* told of each transaction that is over, its statements with it; what is returned ends that."""
        self._listeners.append(listener)
        self._beginners += [began] if began else []

        def end() -> None:
            self._listeners.remove(listener)
            if began:
                self._beginners.remove(began)

        return end

    def on_slow(self, listener: SlowListener) -> None:
        """Has *listener* told of each statement and transaction of a tenant that was slow, right after it was."""
        self._slow_listeners.append(listener)

    def began(self, session: Session, connection: Connection) -> Transaction:
        """Takes note of a transaction that begins."""
        transaction = Transaction(session.info["tenant"], connection, session.info)
        if self._traced:
            transaction.place = place_of_caller()
        if self._listeners:
            self._tell_beginning(transaction)
        self._open[transaction.connection] = transaction
        transaction.held = held = Held(session, self._when_gone)
        held.transaction = transaction
        return transaction

    def ended(self, transaction: Transaction) -> None:
        """Takes note of its end."""
        transaction.held = None
        self._open.pop(transaction.connection, None)
        if self._lost:
            self._tell_leaks()
        transaction.seconds = seconds = perf_counter() - transaction.began
        slow = seconds >= self.slow_threshold_s
        if slow:
            self._note_slow("transaction", transaction, seconds, transaction.last)
        slug, spent = transaction.tenant.slug, transaction.spent
        self.metrics.count_transaction(slug, spent, seconds, committed=transaction.committed, slow=slow)
        for listener in tuple(self._listeners):
            _tell(listener, transaction)

    def sent(self, connection: Connection, statement: str, seconds: float, error: str) -> None:
        """Takes note of a statement that was sent."""
        transaction = self._open.get(id(connection))
        if transaction is None:
            self._note_nobodys(statement, seconds, error)
            return
        transaction.last = statement
        transaction.spent.append(seconds)
        if seconds >= self.slow_threshold_s or error or transaction.sent is not None or len(transaction.spent) > _MANY:
            self._note(transaction, statement, seconds, error)

    def _note(self, transaction: Transaction, statement: str, seconds: float, error: str) -> None:
        """Takes note of what is not true of most statements."""
        slow = seconds >= self.slow_threshold_s
        if slow:
            self._note_slow("statement", transaction, seconds, statement)
        if transaction.sent is not None and len(transaction.sent) < _MANY:
            transaction.sent.append(Sent(shown(statement), seconds, time.time() - seconds, error))
        transaction.errors += bool(error)
        # Long transactions are added up as they go on.
        transaction.counted += len(transaction.spent)
        spent, transaction.spent = transaction.spent, []
        self.metrics.count_statements(transaction.tenant.slug, spent, errors=bool(error), slow=slow)

    def _note_nobodys(self, statement: str, seconds: float, error: str) -> None:
        slow = seconds >= self.slow_threshold_s
        if slow:
            self._note_slow("statement", None, seconds, statement)
        self.metrics.count_statements(NOBODY, (seconds,), errors=bool(error), slow=slow)

    def _tell_beginning(self, transaction: Transaction) -> None:
        transaction.sent = []
        for listener in tuple(self._beginners):
            _tell(listener, transaction)

    def after_fork(self) -> None:
        """Forgets what a parent process has open: a child's sessions are others."""
        self._open.clear()
        self._lost.clear()

    def _watch(self, _: Server, engine: Engine) -> None:
        watch_statements(engine, self)
        pool_of(engine).told = self._say_holders

    def _say_holders(self, pool: Pool) -> str:
        self._tell_leaks()
        held = [one for one in list(self._open.values()) if pool_of(one.engine) is pool]
        oldest = [str(one.now()) for one in sorted(held, key=lambda one: one.began)[:_NAMED]]
        more = f" and {len(held) - _NAMED} more" if len(held) > _NAMED else ""
        if not held:
            return "No tenant's session has them: look at the library's own work, operators and the platform."
        return f"In use: {', '.join(oldest)}{more}."

    def _gone(self, held: Any) -> None:
        transaction: Transaction = held.transaction
        if self._open.get(transaction.connection) is transaction:
            del self._open[transaction.connection]
            transaction.seconds = perf_counter() - transaction.began
            # The garbage collector may call this inside any other method, locks held: the rest has to wait.
            self._lost.append(transaction)

    def _tell_leaks(self) -> None:
        while self._lost:
            transaction = self._lost.popleft()
            left = transaction.now()
            self._leaked.append(left)
            self.metrics.count_transaction(left.slug, transaction.spent, left.seconds, committed=False)
            self.metrics.count_leak(left.slug)
            facts = {"event": "leaked_session", **_facts_of(transaction), "seconds": round(left.seconds, 6)}
            _leak_log.warning("A session was thrown away without being closed: %s", left, extra={"tenantry": facts})

    def _note_slow(self, kind: str, transaction: Transaction | None, seconds: float, statement: str) -> None:
        found = Slow(
            kind=kind,
            tenant=None if transaction is None else transaction.tenant.id,
            slug=NOBODY if transaction is None else transaction.tenant.slug,
            seconds=seconds,
            at=time.time() - seconds,
            statement=shown(statement),
            statements=transaction.statements if transaction is not None and kind == "transaction" else 1,
            correlation_id="" if transaction is None else transaction.correlation_id,
            place="" if transaction is None else transaction.place,
        )
        self._slow.append(found)
        whose = {} if transaction is None else _facts_of(transaction)
        facts = {"event": f"slow_{kind}", **whose, "seconds": round(seconds, 6), "statement": found.statement}
        sentence = "Slow %s of %s: %.3f s: %s"
        _slow_log.warning(sentence, kind, found.slug or "nobody", seconds, found.statement, extra={"tenantry": facts})
        if transaction is not None:
            for listener in self._slow_listeners:
                listener(found, transaction.facts)

    def _open_gauge(self) -> Gauge:
        counts = Counter(transaction.tenant.slug for transaction in list(self._open.values()))
        # As many names as the other numbers have.
        named = self.snapshot().tenants
        values: Counter[tuple[tuple[str, str], ...]] = Counter()
        for slug, count in counts.items():
            values[("tenant", slug if slug in named else OTHERS),] += count
        return Gauge("tenantry_open_transactions", "Transactions of tenants that are not over.", values)

    def _pool_gauges(self) -> list[Gauge]:
        found = [pools(server) for server in self.tenancy.servers.all()]
        values: dict[Labels, float] = {
            (("server", one.server), ("state", state)): count
            for one in found
            for state, count in (("in_use", one.in_use), ("idle", one.idle))
        }
        return [Gauge("tenantry_pool_connections", "Connections of this process.", values)]


def _tell(listener: Listener, transaction: Transaction) -> None:
    try:
        listener(transaction)
    except Exception:  # whoever listens must not stop a program's transactions
        _observe_log.exception("What listens to transactions failed")


def _facts_of(transaction: Transaction) -> dict[str, object]:
    facts = {"tenant": transaction.tenant.slug, "tenant_id": str(transaction.tenant.id), "place": transaction.place}
    known = {name: str(transaction.facts[name]) for name in ABOUT if transaction.facts.get(name)}
    return {**facts, **known}


def _after_fork() -> None:
    for observer in list(_every):
        observer.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
