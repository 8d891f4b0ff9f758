"""16 clients in several processes, which all do the same at once when they are told to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cells import Ground, Place

CLIENTS = 16
PROGRAM = Path(__file__).with_name("client.py")


class Crowd:
    """The processes; each line told is done by all of their threads."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def begin(self, name: str, *arguments: Any) -> None:
        """Has every client begin."""
        for process in self._processes:
            print(json.dumps([name, *arguments]), file=process.stdin, flush=True)

    def results(self) -> list[int]:
        """Waits for what each client got."""
        return [got for process in self._processes for got in json.loads(_line(process))]

    def do(self, name: str, *arguments: Any) -> list[int]:
        """Has every client do it, and returns what each got."""
        self.begin(name, *arguments)
        return self.results()


@contextmanager
def crowd(ground: Ground, place: Place, *, processes: int) -> Iterator[Crowd]:
    """Starts the processes, under the application's login, and ends them."""
    url = ground.urls["app_url"] if place.postgresql else ground.sqlite_url
    where = {"url": url, "key": f"near-{place.cell}", "threads": CLIENTS // processes}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen([sys.executable, str(PROGRAM)], **pipes) for _ in range(processes)]
    try:
        for process in started:
            print(json.dumps(where), file=process.stdin, flush=True)
        for process in started:
            assert _line(process) == "ready\n"
        yield Crowd(started)
    finally:
        for process in started:
            process.kill()
            process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()
