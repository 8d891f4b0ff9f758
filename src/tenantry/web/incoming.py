"""What a request says of itself before anybody reads its body, from ASGI and WSGI alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tenantry.errors import TenantsDisagree
from tenantry.ids import uuid7

_CORRELATION_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_BARE_WSGI_HEADERS: Final = ("CONTENT_TYPE", "CONTENT_LENGTH")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request's method, path and headers; the path is the one that the application routes by.

    ``headers`` holds every value of each header, by its name in lower case.
    """

    method: str
    path: str
    headers: Mapping[str, tuple[str, ...]]

    def header(self, name: str) -> str | None:
        """Returns what a header says, or None.

        Raises: TenantsDisagree where it was sent more than once.
        """
        said = self.headers.get(name.lower(), ())
        if len(said) > 1:
            raise TenantsDisagree
        return said[0] if said else None


def of_scope(scope: Mapping[str, Any]) -> Incoming:
    """Returns what the scope of an ASGI request or websocket says."""
    pairs = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
    path = _below(scope["path"], scope.get("root_path", ""))
    return Incoming(scope.get("method", "GET"), path, _gathered(pairs))


def of_environ(environ: Mapping[str, Any]) -> Incoming:
    """Returns what the environ of a WSGI request says."""
    named = {name.removeprefix("HTTP_"): environ[name] for name in environ if name.startswith("HTTP_")}
    named.update({name: environ[name] for name in _BARE_WSGI_HEADERS if environ.get(name)})
    pairs = ((name.replace("_", "-").lower(), value) for name, value in named.items())
    # PEP 3333: texts are bytes in disguise.
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    return Incoming(environ.get("REQUEST_METHOD", "GET"), path, _gathered(pairs))


def correlation_id(incoming: Incoming, header: str) -> str:
    """Returns the caller's own correlation id, if it sent one that can stand in a log, or else a new one."""
    said = incoming.headers.get(header.lower(), ())
    return said[0] if len(said) == 1 and _CORRELATION_ID.fullmatch(said[0]) else uuid7().hex


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        found[name] = (*found.get(name, ()), value)
    return found


def _below(path: str, root: str) -> str:
    # As Starlette routes: what it is mounted at is no part of a route, and stands before it in the path.
    return path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path
