"""One statement as a whole transaction in one message, for decisions that many wait for: psycopg, both doors.

PostgreSQL runs the statements of one message as one transaction, so the binding, the statement and its commit travel
together, and so does the answer. The wall stands as in any session: the same binding goes first.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from tenantry.isolation.binding import Binding

try:
    import psycopg
    from psycopg import generators
    from psycopg.pq import Escaping, ExecStatus
except ImportError:  # a tenancy with another driver never comes here
    psycopg = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

Value = str | int | uuid.UUID
Row = list[bytes | None]

UNSYNCED: Final = "SET LOCAL synchronous_commit = off"
# In the pool's notes on a connection: the names of the statements that it keeps prepared.
_KEPT: Final = "tenantry_short"
# Prepared statements come and go with the server's connection, not with ours, where something pools in between.
_PARAMETER: Final = re.compile(r"\$(\d)")
_NOT_AS_NOTED: Final = ("26000", "42P05")


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


def run(engine: Engine, binding: Binding, short: Short, values: Sequence[Value], *, durable: bool = True) -> Row:
    """Runs *short* as a transaction of its own and returns its row, as PostgreSQL writes the values.

    Args:
        durable: whether the answer waits until the change would survive a crash of the server.

    Raises: SQLAlchemy's errors.
    """
    with contextlib.closing(engine.raw_connection()) as pooled, _typed(engine, pooled):
        literals = [_literal(value, pooled) for value in values]
        settings = binding.preamble if durable else f"{binding.preamble}; {UNSYNCED}"
        if binding.prepared:
            try:
                return _send(engine, pooled, f"{settings}; {_from_kept(short, pooled, literals)}")
            except psycopg.Error as error:
                if error.sqlstate not in _NOT_AS_NOTED:
                    raise
                _kept(pooled).discard(short.name)
        return _send(engine, pooled, f"{settings}; {short.written_out(literals)}")


async def run_async(
    engine: AsyncEngine, binding: Binding, short: Short, values: Sequence[Value], *, durable: bool = True
) -> Row:
    """Does the same on the event loop.

    Raises: SQLAlchemy's errors.
    """
    return await greenlet_spawn(run, engine.sync_engine, binding, short, values, durable=durable)


def _from_kept(short: Short, pooled: PoolProxiedConnection, literals: Sequence[str]) -> str:
    kept = _kept(pooled)
    if short.name in kept:
        return short.called(literals)
    kept.add(short.name)
    return f"{short.prepared()}; {short.called(literals)}"


def _kept(pooled: PoolProxiedConnection) -> set[str]:
    names: set[str] = pooled.info.setdefault(_KEPT, set())
    return names


def _literal(value: Value, pooled: PoolProxiedConnection) -> str:
    if isinstance(value, int):
        return str(value)
    driver: Any = pooled.driver_connection
    encoding = driver.info.encoding
    # The server's own rules of quoting, whatever its settings.
    return Escaping(driver.pgconn).escape_literal(str(value).encode(encoding)).decode(encoding)


def _send(engine: Engine, pooled: PoolProxiedConnection, message: str) -> Row:
    driver: Any = pooled.driver_connection
    encoded = message.encode(driver.info.encoding)
    if engine.dialect.is_async:
        adapted: Any = pooled.dbapi_connection
        result = adapted.run_async(lambda connection: _exchange(connection, encoded))
    else:
        result = driver.pgconn.exec_(encoded)
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


@contextlib.contextmanager
def _typed(engine: Engine, pooled: PoolProxiedConnection) -> Iterator[None]:
    """Raises the driver's errors as SQLAlchemy types them, and drops a connection of which nobody knows the state."""
    try:
        yield
    except BaseException as error:
        driver: Any = pooled.driver_connection
        lost = driver.closed or not isinstance(error, psycopg.Error)
        if lost:
            pooled.invalidate(error)
        if not isinstance(error, psycopg.Error):
            raise
        raise DBAPIError.instance(
            None, None, error, psycopg.Error, connection_invalidated=lost, dialect=engine.dialect
        ) from error
