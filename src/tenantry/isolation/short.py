"""One statement as a whole transaction in one message, for decisions that many wait for: psycopg, both doors.

PostgreSQL runs the statements of one message as one transaction, so the binding, the statement and its commit travel
together, and so does the answer. The wall stands as in any session: the same binding goes first.
"""

from __future__ import annotations

import functools
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn

from tenantry.isolation.binding import Binding
from tenantry.isolation.departures import tell, typed_by_fence
from tenantry.isolation.engines import pool_of
from tenantry.isolation.queues import Pool

try:
    import psycopg
    from psycopg import generators
    from psycopg.pq import Escaping, ExecStatus, TransactionStatus
except ImportError:  # a tenancy with another driver never comes here
    psycopg = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

Value = str | int | uuid.UUID
Row = list[bytes | None]

UNSYNCED: Final = "SET LOCAL synchronous_commit = off"
_NAMING: Final = "SET LOCAL application_name"
# In the pool's notes on a connection: the names of the statements that it keeps prepared.
_KEPT: Final = "tenantry_short"
# What needs no escape under any setting, nor in any encoding.
_PLAIN: Final = re.compile(r"[\w .:/@-]*", re.ASCII)
_PARAMETER: Final = re.compile(r"\$(\d)")
# Prepared statements come and go with the server's connection, not with ours, where something pools in between; and one
# does not outlive a change of its table's types.
_NOT_AS_NOTED: Final = ("26000", "42P05", "0A000")


@dataclass(frozen=True, slots=True)
class Short:
    """A statement that returns one row; its parameters are ``$1`` and so on, of these types."""

    name: str
    sql: str
    types: str

    def called(self, values: Sequence[str]) -> str:
        """Returns what runs the prepared statement with literals."""
        return f"EXECUTE {self.name}({', '.join(values)})"

    def prepared(self) -> str:
        """Returns what prepares it."""
        return f"PREPARE {self.name}({self.types}) AS {self.sql}"

    def written_out(self, values: Sequence[str]) -> str:
        """Returns it with literals in the place of its parameters."""
        kinds = self.types.split(", ")
        # In one pass: what a value holds is never taken for a parameter.
        return _PARAMETER.sub(
            lambda found: f"CAST({values[int(found[1]) - 1]} AS {kinds[int(found[1]) - 1]})", self.sql
        )


def run(engine: Engine, binding: Binding, short: Short, values: tuple[Value, ...], *, durable: bool = True) -> Row:
    """Runs *short* as a transaction of its own and returns its row, as PostgreSQL writes the values.

    Args:
        durable: whether the answer waits until the change would survive a crash of the server.

    Raises: SQLAlchemy's errors.
    """
    pool = pool_of(engine)
    try:
        entry = _lent(pool)
    except psycopg.Error as error:
        raise _typed(engine, error, lost=True) from error
    try:
        row = _run(engine, entry, binding, short, values, durable)
    except BaseException as error:
        _give_up(engine, pool, entry, error)
    pool.take_back(entry)
    return row


async def run_async(
    engine: AsyncEngine, binding: Binding, short: Short, values: tuple[Value, ...], *, durable: bool = True
) -> Row:
    """Does the same on the event loop.

    Raises: SQLAlchemy's errors.
    """
    return await greenlet_spawn(run, engine.sync_engine, binding, short, values, durable=durable)


def _lent(pool: Pool) -> ConnectionPoolEntry:
    """Returns a connection that nobody else left anything on; any other is closed, as at every check-out."""
    while True:
        entry = pool.lend()
        if _is_clean(entry):
            return entry
        pool.take_back_broken(entry, DisconnectionError("the pooled connection was not as it was lent"))


def _is_clean(entry: ConnectionPoolEntry) -> bool:
    driver: Any = entry.driver_connection
    return driver.pgconn.transaction_status == TransactionStatus.IDLE and not driver.residue


def _run(
    engine: Engine,
    entry: ConnectionPoolEntry,
    binding: Binding,
    short: Short,
    values: tuple[Value, ...],
    durable: bool,
) -> Row:
    settings = _settings(binding.preamble, durable)
    if binding.prepared:
        try:
            return _send(engine, entry, _kept_call(entry, settings, short, values))
        except psycopg.Error as error:
            if error.sqlstate not in _NOT_AS_NOTED:
                raise
            _kept(entry).discard(short.name)
    text = short.written_out([_literal(value, entry) for value in values])
    return _send(engine, entry, _encoded(entry, f"{settings}; {text}"))


def _kept_call(entry: ConnectionPoolEntry, settings: str, short: Short, values: tuple[Value, ...]) -> bytes:
    kept = _kept(entry)
    if short.name in kept and (message := _plain_call(settings, short, values)) is not None:
        return message
    call = short.called([_literal(value, entry) for value in values])
    if short.name in kept:
        return _encoded(entry, f"{settings}; {call}")
    kept.add(short.name)
    return _encoded(entry, f"{settings}; {short.prepared()}; {call}")


# The same is asked again and again, and writing it out takes as long as a fifth of the answer.
@functools.lru_cache(maxsize=4096)
def _plain_call(settings: str, short: Short, values: tuple[Value, ...]) -> bytes | None:
    """Returns the call of a prepared statement, or None where only the connection knows how to quote a value."""
    literals = [_plain_literal(value) for value in values]
    if None in literals:
        return None
    return f"{settings}; {short.called([literal or '' for literal in literals])}".encode()


@functools.lru_cache(maxsize=4096)
def _settings(preamble: str, durable: bool) -> str:
    """Returns what goes before the statement: the binding, but for the name that tells a DBA whose statement runs.

    The server reports that name back each time it changes, which takes as long as a fifth of the whole answer, and no
    DBA sees a statement that is over by then.
    """
    settings = [setting for setting in preamble.split("; ") if not setting.startswith(_NAMING)]
    return "; ".join(settings if durable else [*settings, UNSYNCED])


def _kept(entry: ConnectionPoolEntry) -> set[str]:
    names: set[str] = entry.info.setdefault(_KEPT, set())
    return names


def _plain_literal(value: Value) -> str | None:
    if isinstance(value, int):
        return str(value)
    return f"'{value}'" if _PLAIN.fullmatch(str(value)) else None


def _literal(value: Value, entry: ConnectionPoolEntry) -> str:
    plain = _plain_literal(value)
    if plain is not None:
        return plain
    driver: Any = entry.driver_connection
    encoding = driver.info.encoding
    # The server's own rules of quoting, whatever its settings.
    return Escaping(driver.pgconn).escape_literal(str(value).encode(encoding)).decode(encoding)


def _encoded(entry: ConnectionPoolEntry, message: str) -> bytes:
    driver: Any = entry.driver_connection
    return message.encode(driver.info.encoding)


def _send(engine: Engine, entry: ConnectionPoolEntry, message: bytes) -> Row:
    driver: Any = entry.driver_connection
    if engine.dialect.is_async:
        adapted: Any = entry.dbapi_connection
        result = adapted.run_async(lambda connection: _exchange(connection, message))
    else:
        result = driver.pgconn.exec_(message)
    if driver.closed:
        # Its answer would be an error of no kind, since the server had no chance to send one.
        raise psycopg.OperationalError("the connection was lost, and with it the answer")
    if result.status != ExecStatus.TUPLES_OK:
        raise psycopg.errors.error_from_result(result, encoding=driver.info.encoding)
    return [result.get_value(0, column) for column in range(result.nfields)]


async def _exchange(connection: Any, message: bytes) -> Any:
    async with connection.lock:
        connection.pgconn.send_query(message)
        results = await connection.wait(generators.execute(connection.pgconn), 0.0)
    # The settings answer too; an error is always the last.
    return results[-1]


def _give_up(engine: Engine, pool: Pool, entry: ConnectionPoolEntry, error: BaseException) -> NoReturn:
    """Gives a connection back after an error, or closes it where nobody knows its state, and raises the error."""
    lost = not isinstance(error, psycopg.Error) or not _is_clean(entry)
    if lost:
        pool.take_back_broken(entry, error)
    else:
        pool.take_back(entry)
    if not isinstance(error, psycopg.Error):
        raise error
    raise _typed(engine, error, lost=lost) from error


def _typed(engine: Engine, error: Exception, *, lost: bool) -> BaseException:
    """Returns the driver's error as SQLAlchemy types it, or as a fence meant it."""
    if (found := typed_by_fence(error)) is not None:
        return tell(found, engine.dialect)
    return DBAPIError.instance(None, None, error, psycopg.Error, connection_invalidated=lost, dialect=engine.dialect)
