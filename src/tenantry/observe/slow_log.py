"""What was slow, kept beside the tenant's rows, so that other processes and later days see it."""

from __future__ import annotations

import datetime
import logging
import os
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Column, Float, Integer, String, Text, Uuid, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from tenantry.errors import TenantryError
from tenantry.ids import uuid7
from tenantry.models.columns import UTCDateTime
from tenantry.observe.core import Observer
from tenantry.observe.transactions import Slow
from tenantry.types import TenantKey

_log: Final = logging.getLogger("tenantry.observe")
# In the info of the log's own sessions, which it does not write about.
_OWN: Final = "tenantry_slow_log"
_WAITING: Final = 1000
_KEPT_WORDS: Final = ("kind", "seconds", "statement", "statements", "correlation_id", "place")


class SlowLog:
    """Keeps the newest slow statements and transactions of each tenant in a walled table: ``SlowLog(observer)``.

    They wait in memory until ``write()``; ``keep_writing()`` has a thread do it. *keep* rows are kept of each tenant.

    Raises: as ``Tenancy.table``.
    """

    def __init__(self, observer: Observer, *, keep: int = 100, table: str = "slow_statements") -> None:
        self._tenancy = observer.tenancy
        self._keep = keep
        self._waiting: deque[Slow] = deque(maxlen=_WAITING)
        self._table = self._tenancy.table(
            table,
            Column("id", Uuid, primary_key=True),
            Column("at", UTCDateTime, nullable=False),
            Column("kind", String(20), nullable=False),
            Column("seconds", Float, nullable=False),
            Column("statement", Text, nullable=False),
            Column("statements", Integer, nullable=False),
            Column("correlation_id", String(128), nullable=False),
            Column("place", Text, nullable=False),
            Column("process", Integer, nullable=False),
            behaviour="SlowLog",
        )
        observer.on_slow(self._take)
        observer.slow_log = self

    def __repr__(self) -> str:
        return f"<SlowLog in {self._table.name!r}, {len(self._waiting)} to write>"

    def write(self) -> int:
        """Writes what waits and returns how much that was; of a tenant that has no sessions now it is left out."""
        found: dict[uuid.UUID, list[Slow]] = {}
        while self._waiting:
            slow = self._waiting.popleft()
            if slow.tenant is not None:
                found.setdefault(slow.tenant, []).append(slow)
        return sum(self._written(tenant, entries) for tenant, entries in found.items())

    def of(self, key: TenantKey, *, limit: int = 20) -> list[Slow]:
        """Returns what was slow of late for a tenant, whichever process it was in, the newest first.

        Raises: as ``Tenancy.session``.
        """
        columns = self._table.c
        newest = select(columns.at, *(columns[name] for name in _KEPT_WORDS)).order_by(columns.at.desc(), columns.id)
        with self._tenancy.session(key, read_only=True) as session:
            session.info[_OWN] = True
            rows = session.execute(newest.limit(limit)).mappings().all()
            tenant = session.info["tenant"]
        return [Slow(**{**row, "at": row["at"].timestamp()}, tenant=tenant.id, slug=tenant.slug) for row in rows]

    def keep_writing(self, *, every: float = 5.0) -> Callable[[], None]:
        """Starts a thread that writes each *every* seconds; what is returned ends it and writes what is left."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(every):
                self.write()

        thread = threading.Thread(target=work, name="tenantry-slow-log", daemon=True)
        thread.start()

        def end() -> None:
            over.set()
            thread.join()
            self.write()

        return end

    def _take(self, slow: Slow, facts: Mapping[str, Any]) -> None:
        if _OWN not in facts:
            self._waiting.append(slow)

    def _written(self, tenant: uuid.UUID, entries: list[Slow]) -> int:
        columns = self._table.c
        older = select(columns.id).order_by(columns.at.desc(), columns.id.desc()).offset(self._keep)
        try:
            with self._tenancy.transaction(tenant) as session:
                session.info[_OWN] = True
                session.execute(insert(self._table), [_row(tenant, entry) for entry in entries])
                session.execute(delete(self._table).where(columns.id.in_(older)))
        except (TenantryError, SQLAlchemyError) as error:
            # A tenant may be suspended, moving or gone by now; the log has said it all once.
            _log.warning("What was slow for %s could not be kept: %s", tenant, type(error).__name__)
            return 0
        return len(entries)


def _row(tenant: uuid.UUID, slow: Slow) -> dict[str, Any]:
    at = datetime.datetime.fromtimestamp(slow.at, datetime.UTC)
    kept = {name: getattr(slow, name) for name in _KEPT_WORDS}
    return {"tenant_id": tenant, "id": uuid7(), "at": at, "process": os.getpid(), **kept}
