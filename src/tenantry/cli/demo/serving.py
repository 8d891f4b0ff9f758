"""The five systems' APIs on loopback: one port, each below its own path, stopped by whoever started it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from tenantry.errors import ExtraMissing

try:
    import uvicorn
except ImportError:  # said in one sentence when somebody serves
    uvicorn = None  # type: ignore[assignment]

LOOPBACK: Final = "127.0.0.1"
_PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody of a tenant who may call an API: the token is good for as long as the demo runs."""

    tenant: str
    user: str
    role: str
    token: str


@dataclass(frozen=True, slots=True)
class Served:
    """One system as it is served: below ``/<name>``, by an ASGI application, to these callers."""

    name: str
    title: str
    app: Any
    callers: Sequence[Caller]
    # Ends what the application has open in the loop that served it.
    close: Callable[[], Any]


@contextlib.contextmanager
def serving(systems: Sequence[Served], *, port: int = 0) -> Iterator[str]:
    """Serves the systems on loopback while the block runs, and lends the URL; port 0 takes a free one.

    Raises: ExtraMissing without uvicorn, OSError where the port is taken.
    """
    if uvicorn is None:
        raise ExtraMissing(module="Serving the demo", extra="demo")
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        server = uvicorn.Server(uvicorn.Config(_whole(systems), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=_run, args=(server, listener, systems), name="tenantry-demo", daemon=True)
        thread.start()
        try:
            _wait(server, thread)
            yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_PATIENCE)


def wait_for_interrupt() -> None:
    """Waits until somebody presses Ctrl-C, or ends the process."""
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


def _run(server: Any, listener: socket.socket, systems: Sequence[Served]) -> None:
    async def serve() -> None:
        try:
            await server.serve(sockets=[listener])
        finally:
            for system in systems:
                await system.close()

    asyncio.run(serve())


def _wait(server: Any, thread: threading.Thread) -> None:
    waited = threading.Event()
    for _ in range(round(_PATIENCE / 0.02)):
        if server.started or not thread.is_alive():
            return
        waited.wait(0.02)


def _whole(systems: Sequence[Served]) -> Starlette:
    async def index(_: Request) -> JSONResponse:
        return JSONResponse({system.name: f"/{system.name}/docs" for system in systems})

    mounted = [Mount(f"/{system.name}", app=system.app, name=system.name) for system in systems]
    return Starlette(routes=[Route("/", index), *mounted])
