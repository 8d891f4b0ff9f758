"""Placements made before their tenants come, so that a creation is one transaction of the catalog."""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from typing import Final

from tenantry.catalog import warming
from tenantry.catalog.warming import LEAVING, MAKING, READY, WarmPlacement
from tenantry.errors import IsolationUnavailable
from tenantry.events import announce
from tenantry.ids import uuid7
from tenantry.isolation.control import Control
from tenantry.isolation.servers import MAIN, Servers
from tenantry.provision.heads import Scripts
from tenantry.types import Isolation

_ACTION: Final = "Keeping placements ready"
_log: Final = logging.getLogger(__name__)


class WarmPool:
    """The placements that one installation keeps ready; making them needs the owner's login, taking one does not."""

    def __init__(self, control: Control, servers: Servers, scripts: Scripts, sizes: Mapping[str, int]) -> None:
        self._control = control
        self._servers = servers
        self._scripts = scripts
        self._sizes = sizes

    def bring(self, isolation: Isolation, server: str, *, size: int) -> int:
        """Brings what is kept ready to *size* and returns how many were made; what is beyond is dropped.

        Raises: IsolationUnavailable, ServerUnknown, LoginRequired.
        """
        made = self._fill(isolation, server, size=size)
        head = self._scripts.head()
        alike = [p for p in self.placements() if (p.server, p.isolation, p.head) == (server, isolation, head)]
        for placement in alike[size:]:
            self._drop(placement)
        return made

    def refill(self) -> int:
        """Makes what is missing of ``Config.warm``, clears away what crashed, and returns how many were made.

        Raises: as ``bring``.
        """
        return sum(self._fill(*self._place_of(name), size=size) for name, size in self._sizes.items())

    @contextlib.contextmanager
    def kept(self, *, every: float) -> Iterator[None]:
        """Has a thread refill every so many seconds until the block is left; what fails is tried again then."""
        ended = threading.Event()

        def work() -> None:
            while not ended.is_set():
                try:
                    self.refill()
                except Exception:
                    # The next creation waits for its placement instead; nobody else does.
                    _log.exception("Refilling the placements kept ready failed; it is tried again in %s s", every)
                ended.wait(every)

        thread = threading.Thread(target=work, name="tenantry-warm", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def placements(self, *, begun: bool = False) -> list[WarmPlacement]:
        """Returns the placements that are ready, of every server and revision; *begun* adds the others.

        Raises: LoginRequired without the platform's or the owner's login.
        """
        with self._control.tables(_ACTION) as connection:
            return warming.listing(connection, states=(READY, MAKING, LEAVING) if begun else (READY,))

    def note_head(self, placement: uuid.UUID, head: str | None) -> None:
        """Records that a migration brought a placement to another revision: only creations at it take it now."""
        with self._control.tables(_ACTION) as connection:
            warming.note_head(connection, placement, head)

    def _fill(self, isolation: Isolation, server: str, *, size: int) -> int:
        if isolation is Isolation.ROWS:
            reason = "Its tenants have no placement of their own, so none can be kept ready."
            raise IsolationUnavailable(isolation=isolation.value, server=server, reason=reason)
        strategy, made = self._servers.strategy(server, isolation), 0
        self._clear_away()
        while True:
            tenant = uuid7()
            head = self._scripts.head()
            wanted = WarmPlacement(tenant, server, isolation, strategy.place(tenant), head, MAKING)
            announce("warm", "register", tenant=tenant)
            with self._control.tables(_ACTION) as connection:
                if not warming.enter(connection, wanted, size=size):
                    return made
            self._make(wanted)
            made += 1

    def _make(self, wanted: WarmPlacement) -> None:
        announce("warm", "place", tenant=wanted.id)
        try:
            self._servers.strategy(wanted.server, wanted.isolation).create(wanted.id, head=wanted.head)
        except Exception:
            with contextlib.suppress(Exception):
                self._remove(wanted)
            raise
        announce("warm", "ready", tenant=wanted.id)
        with self._control.tables(_ACTION) as connection:
            warming.make_ready(connection, wanted.id)

    def _clear_away(self) -> None:
        """Removes what crashed processes were making or dropping."""
        with self._control.tables(_ACTION) as connection:
            begun = warming.listing(connection, states=(MAKING, LEAVING))
        for placement in begun:
            self._drop(placement)

    def _drop(self, placement: WarmPlacement) -> None:
        with self._control.tables(_ACTION) as connection:
            mine = warming.withdraw(connection, placement)
        if mine:
            self._remove(placement)

    def _remove(self, placement: WarmPlacement) -> None:
        announce("warm", "drop", tenant=placement.id)
        self._servers.strategy(placement.server, placement.isolation).drop(placement.id, force=True)
        with self._control.tables(_ACTION) as connection:
            warming.forget(connection, placement.id)

    def _place_of(self, name: str) -> tuple[Isolation, str]:
        server, _, isolation = name.rpartition("/")
        return Isolation(isolation), server or MAIN
