"""Where the contestants run: all on one core, where the system can be told so."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keeps this process, and every server it starts meanwhile, on one core.

    A server that happens to share the client's core answers in a third of the time of one that has to be woken on
    another, and which of two gets that place is chance. On one core the work alone counts.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
