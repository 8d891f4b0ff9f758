"""Who holds a long operation: host, process and its start time, so that a dead holder is told from a slow one."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Final

LEASE_SECONDS: Final = 120.0


def this_process() -> str:
    """Returns the name of the running process as a holder."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def is_gone(holder: str) -> bool:
    """Whether *holder* is a process of this host that has ended; a lease decides about other hosts."""
    host, pid, started = holder.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # The number may belong to a later process by now.
    return started != _started(int(pid))


def _started(pid: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        # Field 22 of proc(5); the command name, in brackets, may hold blanks.
        return stat.read().rpartition(")")[2].split()[19]
    return "0"
