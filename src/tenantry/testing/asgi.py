"""Calls to an ASGI application in this process: no socket, no thread, no library."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import unquote, urlencode

App = Callable[..., Awaitable[None]]

_SECONDS: Final = 30.0
# How long a message may be on its way inside one process.
_GRACE: Final = 0.2
_FAILED: Final = 500


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: *body* is anything that JSON can say."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None

    def __str__(self) -> str:
        asked = f"?{urlencode(self.query)}" if self.query else ""
        return f"{self.method} {self.path}{asked}"

    @property
    def sent(self) -> str:
        """All of it, as one text."""
        return f"{unquote(str(self))} {dict(self.headers)} {json.dumps(self.body, default=str)}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the request was granted."""
        return 200 <= self.status < 300  # HTTP's own numbers

    @property
    def text(self) -> str:
        """The body, and the headers' values."""
        return f"{self.content.decode(errors='replace')} {' '.join(value for _, value in self.headers)}"

    @property
    def data(self) -> Any:
        """The body as JSON, or None."""
        try:
            return json.loads(self.content)
        except ValueError:
            return None


class Client:
    """An application between its start and its end; calls wait for whatever it does after it has answered."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._runner = asyncio.Runner()
        self._state: dict[str, Any] = {}
        self._life: asyncio.Task[None] | None = None
        self._ends = asyncio.Queue[dict[str, Any]]()

    def __enter__(self) -> Self:
        self._runner.run(self._begin())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._end())
        self._runner.close()

    def call(self, request: Request) -> Answer:
        """Returns the answer to one request; one that the application breaks at is a 500."""
        return self._runner.run(self._call(request))

    def call_at_once(self, requests: list[Request]) -> list[Answer]:
        """Returns the answers to requests that are under way at the same time."""
        return self._runner.run(self._call_all(requests))

    def overhears(self, path: str, *, listener: Mapping[str, str], speaker: Mapping[str, str], word: str) -> str:
        """Returns what the listener's websocket is sent when the speaker sends a word into its own."""
        return self._runner.run(self._overhear(path, listener, speaker, word))

    async def _begin(self) -> None:
        started = asyncio.Event()

        async def send(message: Mapping[str, Any]) -> None:
            if message["type"].startswith("lifespan.startup"):
                started.set()

        async def live() -> None:
            # An application that knows no lifespan says so with an error.
            with contextlib.suppress(Exception):
                await self._app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}, receive, send)
            started.set()

        receive = self._ends.get
        self._ends.put_nowait({"type": "lifespan.startup"})
        self._life = asyncio.get_running_loop().create_task(live())
        await asyncio.wait_for(started.wait(), _SECONDS)

    async def _end(self) -> None:
        self._ends.put_nowait({"type": "lifespan.shutdown"})
        if self._life is not None:
            await asyncio.wait_for(self._life, _SECONDS)

    async def _call_all(self, requests: list[Request]) -> list[Answer]:
        return list(await asyncio.gather(*(self._call(request) for request in requests)))

    async def _call(self, request: Request) -> Answer:
        content = b"" if request.body is None else json.dumps(request.body, default=str).encode()
        incoming = [{"type": "http.request", "body": content, "more_body": False}]
        gone, outgoing = asyncio.Event(), []

        async def receive() -> dict[str, Any]:
            if incoming:
                return incoming.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            outgoing.append(message)

        # What it breaks at is its answer: a 500, or what it had sent before.
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._app(self._scope(request), receive, send), _SECONDS)
        gone.set()
        return _answer(outgoing)

    def _scope(self, request: Request, kind: str = "http") -> dict[str, Any]:
        headers = {"host": "testserver", **{name.lower(): value for name, value in request.headers.items()}}
        if request.body is not None:
            headers["content-type"] = "application/json"
        return {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http" if kind == "http" else "ws",
            "path": unquote(request.path),
            "raw_path": request.path.encode(),
            "query_string": urlencode(request.query, doseq=True).encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 50000),
            "server": ("testserver", 80),
            "state": dict(self._state),
            **({"subprotocols": []} if kind == "websocket" else {}),
        }

    async def _overhear(self, path: str, listener: Mapping[str, str], speaker: Mapping[str, str], word: str) -> str:
        async with self._socket(path, listener) as ear, self._socket(path, speaker) as mouth:
            if not (ear.open and mouth.open):
                return ""
            mouth.say(word)
            await asyncio.sleep(_GRACE)
            return ear.heard

    @contextlib.asynccontextmanager
    async def _socket(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[_Socket]:
        socket = _Socket()
        scope = self._scope(Request("GET", path, headers), "websocket")
        task = asyncio.get_running_loop().create_task(socket.live(self._app, scope))
        await asyncio.wait_for(socket.settled.wait(), _SECONDS)
        try:
            yield socket
        finally:
            socket.hang_up()
            await asyncio.wait_for(task, _SECONDS)


class _Socket:
    def __init__(self) -> None:
        self.open = False
        self.settled = asyncio.Event()
        self.heard = ""
        self._incoming = asyncio.Queue[dict[str, Any]]()
        self._incoming.put_nowait({"type": "websocket.connect"})

    async def live(self, app: App, scope: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):
            await app(scope, self._incoming.get, self._send)
        self.open = False
        self.settled.set()

    def say(self, word: str) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", "text": word})

    def hang_up(self) -> None:
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.accept":
            self.open = True
        self.heard += str(message.get("text") or message.get("bytes") or "")
        self.settled.set()


def _answer(messages: list[dict[str, Any]]) -> Answer:
    start = next((each for each in messages if each["type"] == "http.response.start"), None)
    if start is None:
        return Answer(_FAILED)
    headers = tuple((name.decode().lower(), value.decode()) for name, value in start.get("headers", ()))
    content = b"".join(each.get("body", b"") for each in messages if each["type"] == "http.response.body")
    return Answer(start["status"], headers, content)
