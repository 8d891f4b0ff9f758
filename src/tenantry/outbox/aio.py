"""The asynchronous door of the outbox: the same methods, awaited; a relay runs in a thread beside the loop."""

from __future__ import annotations

from tenantry.outbox.core import Outbox
from tenantry.session.aio import Face, through


class AsyncOutbox(Face[Outbox]):
    """The awaited face of an ``Outbox``; reach it through ``outbox.aio``."""

    add = through(Outbox.add)
    discard = through(Outbox.discard)
    parked = through(Outbox.parked)
    pending = through(Outbox.pending)
    purge = through(Outbox.purge)
    retry = through(Outbox.retry)
