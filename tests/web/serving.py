"""Applications behind real sockets of this machine, and a client that pipelines."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """One answer as it came over the wire; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A server on a port of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, *requests: bytes) -> list[Answer]:
        """Sends all requests in one breath on one connection, and returns the answers in their order."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as line:
            line.sendall(b"".join(requests))
            reader = line.makefile("rb")
            return [_read(reader) for _ in requests]

    def get(self, path: str, **headers: str) -> Answer:
        (answer,) = self.ask(request("GET", path, **headers))
        return answer

    def post(self, path: str, content: Any = None, **headers: str) -> Answer:
        (answer,) = self.ask(request("POST", path, content, **headers))
        return answer


def request(method: str, path: str, content: Any = None, **headers: str) -> bytes:
    """Returns the bytes of a request; ``x_tenant="acme"`` is the header X-Tenant."""
    body = b"" if content is None else json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named = {
        "host": "127.0.0.1",
        "content-length": str(len(body)),
        "content-type": "application/json",
        **named,
    }
    lines = [
        f"{method} {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in named.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


@contextmanager
def serving(app: Any, *, http: str = "h11") -> Iterator[Server]:
    """Serves an ASGI application until the block ends."""
    options: dict[str, Any] = {
        "http": http,
        "ws": "websockets-sansio",
        "log_config": None,
        "timeout_keep_alive": 30,
    }
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        _await_start(server, thread)
        yield Server(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(SECONDS)
    assert not thread.is_alive()


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + SECONDS
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < end
        time.sleep(0.01)


def _read(reader: Any) -> Answer:
    status = int(reader.readline().split()[1])
    headers: dict[str, str] = {}
    while line := reader.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        return Answer(status, headers, b"".join(_chunks(reader)))
    return Answer(status, headers, reader.read(int(headers.get("content-length", 0))))


def _chunks(reader: Any) -> Iterator[bytes]:
    while size := int(reader.readline(), 16):
        yield reader.read(size)
        reader.readline()
    reader.readline()


def statuses(answers: Sequence[Answer]) -> list[int]:
    return [answer.status for answer in answers]
