"""A proxy before a PostgreSQL server that writes down what clients send, and how often the server was waited for."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Self

CANCEL, ENCRYPTIONS = 80877102, (80877103, 80877104)


class Recorder:
    """Statements in the order they were sent, and the round trips: the server ends each with ReadyForQuery."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.statements: list[str] = []
        self.round_trips = 0
        self.connections = 0
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.address: tuple[str, int] = self._listener.getsockname()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)

    @contextlib.contextmanager
    def from_here(self) -> Iterator[Recorder]:
        """Forgets what was recorded before the block."""
        self.statements.clear()
        self.round_trips = self.connections = 0
        yield self

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(self._server)
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._start(self._forward, client, server, self._greet, self._hear_client)
                self._start(self._forward, server, client, None, self._hear_server)

    def _forward(
        self,
        source: socket.socket,
        target: socket.socket,
        greet: Callable[[socket.socket], bytes] | None,
        hear: Callable[[bytes, bytes], None],
    ) -> None:
        with source, contextlib.suppress(OSError, EOFError):
            if greet:
                target.sendall(greet(source))
            while True:
                head = _read(source, 5)
                body = _read(source, struct.unpack("!I", head[1:])[0] - 4)
                hear(head[:1], body)
                target.sendall(head + body)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def _greet(self, client: socket.socket) -> bytes:
        while True:
            head = _read(client, 8)
            length, code = struct.unpack("!II", head)
            if code not in ENCRYPTIONS:
                return head + _read(client, length - 8)
            client.sendall(b"N")  # as a server without TLS answers; the client goes on in the clear

    def _hear_client(self, kind: bytes, body: bytes) -> None:
        if kind == b"Q":
            self.statements.append(body[:-1].decode())
        elif kind == b"P":
            self.statements.append(body.split(b"\0")[1].decode())

    def _hear_server(self, kind: bytes, _: bytes) -> None:
        self.round_trips += kind == b"Z"


def _read(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = source.recv(count - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data
