"""A program that opens every file of a directory and prints, as JSON, what became of each and what else happened.

Everything that Python tells of (a file opened for writing, a program started, a connection made, code compiled or
executed, an object unpickled) is noted from the first hostile file on.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

from tenantry.archive.container import open_archive
from tenantry.archive.keys import KeyRing
from tenantry.archive.stores import DirectoryStore

HARM = (
    *("builtins.", "code.", "compile", "cpython.", "ctypes.", "exec", "fcntl.", "ftplib.", "glob.", "http.", "import"),
    *(
        "marshal.",
        "mmap.",
        "os.",
        "pickle.",
        "pty.",
        "shutil.",
        "signal.",
        "socket.",
        "sqlite3.",
        "subprocess.",
        "sys.",
    ),
    *("sys.", "syslog.", "tempfile.", "urllib.", "webbrowser."),
)


def main(directory: str, key: str) -> None:
    ring = KeyRing({"2026": base64.b64decode(key)}, "2026")
    store = DirectoryStore(directory)
    names = sorted(store.names("hostile/"))
    _read(store, ring, "sound")
    before = _peak()
    noted: list[str] = []
    watching = [True]
    sys.addaudithook(lambda event, arguments: _note(noted, event, arguments) if watching[0] else None)
    became: dict[str, str] = {}
    peaks: dict[str, int] = {}
    for name in names:
        try:
            became[name] = _read(store, ring, name)
        except BaseException as error:
            became[name] = type(error).__name__
        peaks[name] = _peak() - before
    watching[0] = False
    print(json.dumps({"became": became, "peaks": peaks, "noted": noted}))


def _read(store: DirectoryStore, ring: KeyRing, name: str) -> str:
    with store.get(name) as file:
        archive = open_archive(file, ring, name=name)
    return f"opened {archive.manifest.slug}"


def _note(noted: list[str], event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        # os.O_WRONLY, O_RDWR and O_CREAT are what a read-only open lacks.
        if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            noted.append(f"open {arguments[0]}")
    elif event.startswith(HARM):
        noted.append(f"{event} {arguments!r:.80}")


def _peak() -> int:
    """The most memory that the process ever had, in KiB; getrusage would tell of the process that started it too."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1])


if __name__ == "__main__":
    main(*map(str, (Path(sys.argv[1]), sys.argv[2])))
