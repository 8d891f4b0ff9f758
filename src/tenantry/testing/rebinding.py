"""An application's own Tenancy, led to a test server for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tenantry.errors import RebindRefused
from tenantry.isolation.engines import checked_out
from tenantry.tenancy import Tenancy


@contextmanager
def rebound(
    tenancy: Tenancy,
    url: str,
    *,
    owner_url: str | None = None,
    operator_url: str | None = None,
    platform_url: str | None = None,
) -> Iterator[Tenancy]:
    """Leads a tenancy, and all that was made of it, to another server, and back when the block ends.

    None of its own servers can be reached meanwhile, so no test can write to them by mistake. Await
    ``tenancy.aio.close()`` before the block ends where the awaited door was used.

    Raises: RebindRefused outside pytest, and while a session is open.
    """
    if "PYTEST_VERSION" not in os.environ:
        raise RebindRefused(reason="pytest does not run here")
    engines = [engine for server in tenancy.servers.all() for engine in server.engines.standing()]
    if any(checked_out(engine) for engine in engines):
        raise RebindRefused(reason="one of its sessions is open")
    tenancy.router.clear()
    with tenancy.servers.standing_in(url, owner_url=owner_url, operator_url=operator_url, platform_url=platform_url):
        try:
            yield tenancy
        finally:
            tenancy.router.clear()
