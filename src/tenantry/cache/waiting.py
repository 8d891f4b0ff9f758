"""Whether the code that runs now was called by an event loop, and a pause that does not stop it."""

from __future__ import annotations

import asyncio
import threading
import time

from sqlalchemy.util import await_only

try:
    from greenlet import getcurrent as _current
except ImportError:  # without greenlet there is no async door, and threads are all there is
    _current = threading.get_ident


def in_event_loop() -> bool:
    """Whether this runs below an async session, where ``await_only`` works."""
    return bool(getattr(_current(), "__sqlalchemy_greenlet_provider__", False))


def pause(seconds: float) -> None:
    """Waits so long; other tasks of the event loop go on."""
    if in_event_loop():
        await_only(asyncio.sleep(seconds))
    else:
        time.sleep(seconds)
