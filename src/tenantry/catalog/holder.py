"""Who holds a long operation: place, process and its start time, so that a dead holder is told from a slow one."""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
from typing import Any, Final

LEASE_SECONDS: Final = 120.0


def this_process() -> str:
    """Returns the name of the running process as a holder."""
    return f"{_place()}:{os.getpid()}:{_started(os.getpid())}"


def held() -> dict[str, Any]:
    """Returns what a row of the catalog says while this process works on it."""
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=LEASE_SECONDS)
    return {"holder": this_process(), "lease_until": until}


def has_let_go(holder: str, *, expired: bool) -> bool:
    """Whether *holder* works no more: a process of this place when it has ended, any other when its lease *expired*."""
    place, pid, started = holder.rsplit(":", 2)
    if place != _place():
        return expired
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # The number may belong to a later process by now.
    return started != _started(int(pid))


def _place() -> str:
    # Containers on one host may share its name; their process numbers mean nothing to each other.
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()}:{os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


def _started(pid: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        # Field 22 of proc(5); the command name, in brackets, may hold blanks.
        return stat.read().rpartition(")")[2].split()[19]
    return "0"
