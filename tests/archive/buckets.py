"""Object storage for the tests: moto's S3 server on the loopback address, and lines to it that break."""

from __future__ import annotations

import contextlib
import datetime
import socket
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.server import ThreadedMotoServer

from tenantry.archive.stores import ObjectStore

# Tries little and soon: what is broken here stays broken.
IMPATIENT = {
    "max_retries": 1,
    "retry_timeout": datetime.timedelta(seconds=5),
    "backoff": {
        "init_backoff": datetime.timedelta(milliseconds=5),
        "max_backoff": datetime.timedelta(milliseconds=10),
        "base": 2,
    },
}


@dataclass(frozen=True)
class Bucket:
    """An empty bucket of a server that runs."""

    endpoint: str
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}/archives"

    def options(self, endpoint: str | None = None) -> dict[str, Any]:
        return {
            "endpoint": endpoint or self.endpoint,
            "access_key_id": "anybody",
            "secret_access_key": "anything",
            "region": "us-east-1",
            "client_options": {"allow_http": True, "timeout": "5s", "connect_timeout": "2s"},
            "retry_config": IMPATIENT,
        }

    def environment(self) -> dict[str, str]:
        """What a program finds the server by that is given nothing but the URL."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "anybody",
            "AWS_SECRET_ACCESS_KEY": "anything",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def store(self, **other: Any) -> ObjectStore:
        return ObjectStore(self.url, **self.options() | other)


@contextlib.contextmanager
def buckets() -> Iterator[str]:
    """Yields the endpoint of a server of object storage."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


def new_bucket(endpoint: str, name: str) -> Bucket:
    request = urllib.request.Request(f"{endpoint}/{name}", method="PUT")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    return Bucket(endpoint, name)


@contextlib.contextmanager
def broken_line(endpoint: str, *, after: int) -> Iterator[str]:
    """Yields an endpoint that passes on so many bytes of what it is sent, and then hangs up on everybody."""
    line = _Line(endpoint, after)
    try:
        yield line.endpoint
    finally:
        line.close()


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """Yields an endpoint where nobody listens; it is kept, so that nobody can begin to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


class _Line:
    def __init__(self, endpoint: str, after: int) -> None:
        host, _, port = endpoint.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._left = after
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        for one in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(timeout=10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                if self._left <= 0:
                    near.close()
                    continue
                far = socket.create_connection(self._target, timeout=10)
                self._open += [near, far]
                for source, target, counted in ((near, far, True), (far, near, False)):
                    thread = threading.Thread(target=self._pass_on, args=(source, target, counted))
                    self._threads.append(thread)
                    thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if counted:
                    self._left -= len(data)
                    if self._left <= 0:
                        break
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
