"""A Redis of the tests' own: on a loopback port, with a new password, gone afterwards."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis

PROGRAM = shutil.which("redis-server")
SECONDS_TO_START = 20


@dataclass
class RedisServer:
    """A server that can be started, stopped and started again at the same address."""

    directory: Path
    cluster: bool = False
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    port: int = field(default_factory=lambda: _free_port())
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        # By its input: a password on the command line could be read by anybody.
        self.process = subprocess.Popen(
            [PROGRAM, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=self.directory
        )
        self.process.stdin.write(self._settings().encode())
        self.process.stdin.close()
        self._await()
        if self.cluster:
            with redis.Redis.from_url(self.url) as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
                _until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO", NEVER_DECODE=True))

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def _await(self) -> None:
        def answers() -> bool:
            with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
            return False

        _until(answers)

    def _settings(self) -> str:
        return f"""
bind 127.0.0.1
port {self.port}
requirepass {self.password}
save ""
appendonly no
dir {self.directory}
cluster-enabled {"yes" if self.cluster else "no"}
cluster-port {_free_port() if self.cluster else 0}
"""


@contextlib.contextmanager
def redis_server(directory: Path, *, cluster: bool = False) -> Iterator[RedisServer]:
    """Lends a server that runs."""
    server = RedisServer(directory, cluster)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _until(true: object) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while not true():  # type: ignore[operator]  # a callable
        assert time.monotonic() < deadline, "Redis did not start"
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
