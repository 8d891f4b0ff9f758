"""Each API called as its description says: lists, single rows, new rows; and the same with a neighbour's token."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tenantry.cli.demo.serving import Caller, Served

_SECONDS: Final = 60
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_FAILED: Final = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status and the body's bytes."""

    status: int
    body: bytes

    @property
    def data(self) -> Any:
        """The body as JSON, or None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(slots=True)
class Exercise:
    """What calling one system found: how many calls were made, and what was not as it should be."""

    name: str
    calls: int = 0
    faults: list[str] = field(default_factory=list)


def exercise(url: str, system: Served) -> Exercise:
    """Calls every list of a system, one row of each and what makes new ones, for one tenant and for its neighbour."""
    return _Round(f"{url}/{system.name}", system).walk()


class _Round:
    def __init__(self, url: str, system: Served) -> None:
        self._url = url
        self._own, self._other = _two_tenants(system.callers)
        self._found = Exercise(system.name)
        self._description: Mapping[str, Any] = {}

    def walk(self) -> Exercise:
        """Returns what was found."""
        self._description = self._call("GET", "/openapi.json", None).data or {}
        paths: Mapping[str, Any] = self._description.get("paths", {})
        if not paths:
            self._found.faults.append(f"{self._found.name} describes no routes")
        for path, methods in paths.items():
            if "{" not in path and _needs_nothing(methods.get("get")):
                self._look(path, [other for other in paths if other.rpartition("/{")[0] == path])
            if "{" not in path and "post" in methods:
                self._add(path, methods["post"])
        return self._found

    def _look(self, path: str, details: Sequence[str]) -> None:
        """Reads a list, and a row of it at each of the paths of single rows."""
        self._expect(_UNAUTHORIZED, "GET", path, None)
        own = self._call("GET", path, self._own)
        if own.status in (_FORBIDDEN, _NOT_FOUND):
            # It is the platform's, or the tenant has no such thing.
            self._expect(own.status, "GET", path, self._other)
            return
        self._check(_OK, own, "GET", path, self._own)
        rows = _rows_of(own.data)
        foreign = self._expect(_OK, "GET", path, self._other).data
        for detail in (one for one in details if rows):
            keys = [rows[0].get(name) for name in (_parameter(detail), "id") if rows[0].get(name) is not None]
            if keys and _needs_nothing(self._description["paths"][detail].get("get")):
                self._read(detail, str(keys[0]), known=str(keys[0]) in json.dumps(foreign))

    def _read(self, path: str, key: str, *, known: bool) -> None:
        """Reads one row as its tenant, then as the neighbour, to whom it is the same as one that nobody has."""
        self._expect(_OK, "GET", _filled(path, key), self._own)
        if known:
            # The neighbour has a row of his own by that name.
            return
        foreign = self._call("GET", _filled(path, key), self._other)
        missing = self._call("GET", _filled(path, _like(key)), self._other)
        if foreign != missing or foreign.status >= _FAILED:
            self._found.faults.append(f"GET {path} tells the neighbour that a row is there")

    def _add(self, path: str, operation: Mapping[str, Any]) -> None:
        """Makes a new row from the first example of the description, where it stands by itself."""
        example = _example(operation)
        if example is None:
            return
        answer = self._call("POST", path, self._own, example)
        if answer.status >= _FAILED:
            self._found.faults.append(f"POST {path}: {answer.status}")

    def _expect(self, status: int, method: str, path: str, caller: Caller | None) -> Answer:
        answer = self._call(method, path, caller)
        self._check(status, answer, method, path, caller)
        return answer

    def _check(self, status: int, answer: Answer, method: str, path: str, caller: Caller | None) -> None:
        if answer.status != status:
            who = caller.tenant if caller else "nobody"
            self._found.faults.append(f"{method} {path} as {who}: {answer.status} and not {status}")

    def _call(self, method: str, path: str, caller: Caller | None, body: Any = None) -> Answer:
        self._found.calls += 1
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if caller is not None:
            headers["Authorization"] = f"Bearer {caller.token}"
        data = None if body is None else json.dumps(body).encode()
        # The URL is the demo's own, on loopback.
        request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310  # as above
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())


def _two_tenants(callers: Sequence[Caller]) -> tuple[Caller, Caller]:
    own = callers[0]
    return own, next(caller for caller in callers if caller.tenant != own.tenant)


def _needs_nothing(operation: Mapping[str, Any] | None) -> bool:
    """Whether anybody's token may ask it, without more said than its path."""
    if operation is None or operation.get("security") == []:
        return False
    return not any(one.get("required") and one.get("in") != "path" for one in operation.get("parameters", []))


def _rows_of(data: Any) -> Sequence[Mapping[str, Any]]:
    """Returns the rows of a list, whatever its envelope calls them."""
    lists: Iterator[Any] = iter([data] if isinstance(data, list) else data.values() if isinstance(data, dict) else [])
    return next((found for found in lists if isinstance(found, list) and found and isinstance(found[0], dict)), [])


def _parameter(path: str) -> str:
    return str(_PARAMETER.findall(path)[0])


def _filled(path: str, key: str) -> str:
    return _PARAMETER.sub(urllib.parse.quote(key, safe=""), path)


def _like(key: str) -> str:
    """Returns a key of the same kind that nobody has."""
    if key.isdigit():
        return str(2**31 - 7)
    try:
        uuid.UUID(key)
    except ValueError:
        return uuid.uuid4().hex
    return str(uuid.uuid4())


def _example(operation: Mapping[str, Any]) -> Any:
    """Returns the first example of a body, wherever the description has it, or None."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    examples = [*content.get("examples", {}).values()]
    return examples[0].get("value") if examples else content.get("example")
