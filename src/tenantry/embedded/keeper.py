"""Runs one PostgreSQL server for as long as the process that asked for it lives.

Started as a script, with the standard library alone. Its standard input is a pipe whose other end the asking process
holds: the end of that pipe, by a clean stop or by a SIGKILL, stops the server and removes its temporary directories.
Its standard output closes when the server ends.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any

PATIENCE = ((signal.SIGINT, 10), (signal.SIGQUIT, 5), (signal.SIGKILL, 5))  # fast, then immediate, then neither
PR_SET_PDEATHSIG = 1
TRIES_TO_REMOVE = 100


def main(plan: dict[str, Any]) -> None:
    """Carries out *plan* and returns when the server is stopped and its temporary directories are gone."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        server = start(plan)
        threading.Thread(target=report_end, args=(server,), daemon=True).start()
        try:
            os.read(sys.stdin.fileno(), 1)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            stop(server)
    finally:
        for directory in plan["temporary"]:
            remove(directory)


def start(plan: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Returns the server, whose messages go to our standard error and which inherits the holds."""
    return subprocess.Popen(
        plan["command"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        pass_fds=plan["holds"],
        preexec_fn=die_with_keeper if sys.platform == "linux" else None,
        **plan["identity"],
    )


def die_with_keeper() -> None:
    """Asks Linux to stop the server should the keeper itself be killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def report_end(server: subprocess.Popen[bytes]) -> None:
    """Closes standard output when the server ends."""
    server.wait()
    os.close(sys.stdout.fileno())


def stop(server: subprocess.Popen[bytes]) -> None:
    """Stops the server, gently first, for sure at last."""
    for number, seconds in PATIENCE:
        server.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(seconds)
            return


def remove(directory: str | os.PathLike[str]) -> None:
    """Removes *directory*, in which processes that were just killed may write for another moment."""
    for _ in range(TRIES_TO_REMOVE):
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.exists(directory):
            return
        time.sleep(0.05)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
