"""One tenant's walk through an application: rows made by its own routes, and what their answers tell of them."""

from __future__ import annotations

import datetime
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tenantry.testing.asgi import Answer, Client, Request
from tenantry.testing.describing import PARAMETER, TENANT_WORDS, Operation, shorter

_PASSES: Final = 3
_LONG: Final = 8
# A step of a step of a step has to be led up to.
_CHAIN: Final = 3
# Bad request, not found, conflict: a route that might have taken the same of another row.
_REFUSED: Final = (400, 404, 409)
_MAKING: Final = ("POST", "PUT", "PATCH")
_HOST: Final = re.compile(r"^https?://[^/]+")
_ID: Final = re.compile(r"^(id|.*_id|uuid|key|slug|name|path|url|token|code|number)$")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls for one tenant: the headers that say so, and every name by which the tenant is known.

    *ids* are values of path parameters that no answer tells; *bodies*, by ``"POST /tickets"``, those that no schema
    does: ``{mark}`` in them stands for a word by which the row is known again.
    """

    headers: Mapping[str, str]
    names: Sequence[str]
    ids: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bodies: Mapping[str, Any] = field(default_factory=dict)


class Explorer:
    """What one caller made and was told."""

    def __init__(self, client: Client, caller: Caller, operations: Sequence[Operation]) -> None:
        self.client = client
        self.caller = caller
        self.operations = operations
        self.mark = new_mark()
        self.values: dict[str, list[str]] = {name: list(ids) for name, ids in caller.ids.items()}
        self.by_path: dict[str, list[str]] = {}
        self.bodies: dict[Operation, Any] = {}
        self.read: set[Operation] = set()
        self.makers: dict[str, list[Operation]] = {}
        self.own: set[str] = set()
        # Which of the bodies that may be made up for it an operation took.
        self._ways: dict[Operation, int] = {}
        # Which step leads up to another.
        self._leads: dict[Operation, Operation] = {}

    @property
    def reads(self) -> list[Operation]:
        """The operations that only read."""
        return [each for each in self.operations if each.method == "GET"]

    @property
    def makes(self) -> list[Operation]:
        """The operations that make or change something."""
        return [each for each in self.operations if each.method in _MAKING]

    @property
    def deletes(self) -> list[Operation]:
        """The operations that delete, what lies within something before that."""
        found = [each for each in self.operations if each.method == "DELETE"]
        return sorted(found, key=lambda each: len(each.path), reverse=True)

    def walk(self) -> None:
        """Makes what its routes make, and reads all that they show; again, as each answer tells of more."""
        for _ in range(_PASSES):
            for operation in self.makes:
                if operation not in self.bodies:
                    self.make(operation, self.mark)
            self.look()

    def look(self) -> None:
        """Reads all that its routes show."""
        for operation in self.reads:
            for path in self._known_paths(operation):
                answer = self.call(operation, path)
                self.learn(operation, answer, made=False)
                if answer.ok:
                    break

    def make(self, operation: Operation, mark: str, *, chain: int = _CHAIN) -> Answer | None:
        """Returns the answer to the first body that a route takes, or to the last; None where its path is unknown.

        A step that the first row does not allow, or no more, is tried on others, and on some that are led up to it.
        """
        answer = None
        for path in self._paths(operation, chain):
            answer = self._made(operation, mark, path)
            if answer is not None and answer.status not in _REFUSED:
                break
        return answer

    def _known_paths(self, operation: Operation) -> list[str]:
        """Returns the paths with the first and the last of the keys that may stand at their end."""
        first = self.filled(operation)
        keys = self.known(operation.parameters[-1], operation.path)[-1:] if operation.parameters else []
        others = [self.filled(operation, {operation.parameters[-1]: key}) for key in keys]
        return [path for path in dict.fromkeys([first, *others]) if path is not None]

    def _paths(self, operation: Operation, chain: int) -> Iterator[str]:
        """Yields the known paths, one to a row made for it, and ones to rows that have taken one step before."""
        led = self._leads.get(operation)
        if led is not None and chain:
            yield from self._led(operation, led, chain)
        yield from self._known_paths(operation)
        steps = [each for each in self.makes if each.parameters == operation.parameters and each is not operation]
        for step in (None, *steps) if chain and operation.parameters else ():
            yield from self._led(operation, step, chain)

    def _led(self, operation: Operation, step: Operation | None, chain: int) -> Iterator[str]:
        """Yields the path to a new row that has taken a step."""
        key = self._remade(operation, chain - 1)
        if key is None:
            return
        values = {operation.parameters[-1]: key}
        if step is not None and self._made(step, new_mark(), self.filled(step, values)) is None:
            return
        if (path := self.filled(operation, values)) is not None:
            before = operation in self.bodies
            yield path
            if step is not None and not before and operation in self.bodies:
                self._leads[operation] = step

    def delete(self, operation: Operation) -> bool:
        """Returns whether a route deletes one of this tenant's rows, the first or one that is made for it."""
        return any(self.call(operation, path).ok for path in self._paths(operation, _CHAIN))

    def _made(self, operation: Operation, mark: str, path: str | None) -> Answer | None:
        answer = None
        for number, body in enumerate(self.bodies_for(operation, mark) if path is not None else ()):
            answer = self.call(operation, path, body=body)
            if answer.ok:
                self.bodies.setdefault(operation, body)
                self._ways.setdefault(operation, number)
                self.learn(operation, answer, made=True)
                break
        return answer

    def _remade(self, operation: Operation, chain: int) -> str | None:
        """Makes once more what the last key in a path names, and returns the new one's key."""
        name = operation.parameters[-1]
        known = self.known(name, operation.path)
        makers = [maker for key in known for maker in self.makers.get(key, ())]
        if not makers:
            return None
        # Rows of several kinds have the same number: what makes those that the path names goes before.
        maker = next((each for each in makers if _lists(each.path, *_place(name, operation.path))), makers[0])
        self.make(maker, new_mark(), chain=chain)
        self.look()
        return next((key for key in reversed(self.known(name, operation.path)) if key not in known), None)

    def bodies_for(self, operation: Operation, mark: str) -> Iterator[Any]:
        """Yields bodies to try, the caller's own first."""
        if (said := self.caller.bodies.get(str(operation))) is not None:
            yield json.loads(json.dumps(said).replace("{mark}", mark))
        yield from operation.bodies(mark, self.refer)

    def body_for(self, operation: Operation, mark: str) -> Any:
        """Returns such a body as the route took, else the first to try, or None."""
        made = list(self.bodies_for(operation, mark))
        return made[min(self._ways.get(operation, 0), len(made) - 1)]

    def call(self, operation: Operation, path: str | None, *, body: Any = None, **query: Any) -> Answer:
        """Returns the answer to one operation as this caller."""
        return self.client.call(self.request(operation, path, body=body, **query))

    def request(self, operation: Operation, path: str | None, *, body: Any = None, **query: Any) -> Request:
        """Returns the request of one operation as this caller; what its query needs is made up."""
        asked = operation.asked(self.mark, self.refer) | query
        return Request(operation.method, path or operation.path, self.caller.headers, asked, body)

    def learn(self, operation: Operation, answer: Answer, *, made: bool) -> None:
        """Keeps what an answer tells of names and keys; those of what was *made* are this caller's own for certain."""
        if not answer.ok:
            return
        self.read |= set() if made else {operation}
        for name, value in _leaves(answer.data):
            if _ID.match(name) and value not in self.values.setdefault(name, []):
                self.values[name].append(value)
            if _ID.match(name) and value not in self.by_path.setdefault(operation.path, []):
                self.by_path[operation.path] += [value] if name == "id" else []
            if made and name == "id":
                self.makers.setdefault(value, []).append(operation)
            if made and len(value) >= _LONG and not value.isalpha() and not _is_second(value):
                self.own.add(value)
            if "/" in value:
                self._learn_link(value)

    def _learn_link(self, link: str) -> None:
        """Keeps the key at the end of a link to one of the routes."""
        for operation in self.reads:
            before, _, key = operation.path.rpartition("/")
            told = _HOST.sub("", link).partition("?")[0].removeprefix(f"{before}/")
            if PARAMETER.fullmatch(key) and "/" not in told and told not in self.by_path.setdefault(before, []):
                self.by_path[before].append(told)

    def refer(self, name: str) -> Any:
        """Returns the value of a property that refers to something: this tenant's name, or what has that name."""
        if TENANT_WORDS.search(name):
            return self.caller.names[0]
        return next(iter(self.known(name, "")), None)

    def known(self, name: str, path: str) -> list[str]:
        """Returns what may stand for a parameter: what the path before it lists, or what answers call so."""
        place = _place(name, path)
        listed = [value for known, values in self.by_path.items() if _lists(known, *place) for value in values]
        return [*self.values.get(name, ()), *listed] or (self.values.get("id", []) if name in ("id", "key") else [])

    def references(self, name: str) -> list[str]:
        """Returns the keys of this tenant's that a reference of this name may lead to."""
        return next((found for each in shorter(name) if (found := self.known(each, ""))), [])

    def filled(self, operation: Operation, values: Mapping[str, str] | None = None) -> str | None:
        """Returns an operation's path with this tenant's keys in it, or *values*; None where one is not known."""
        path = operation.path
        for name in operation.parameters:
            found = (values or {}).get(name) or next(iter(self.known(name, operation.path)), None)
            if found is None and TENANT_WORDS.search(name):
                found = self.caller.names[0]
            if found is None:
                return None
            path = PARAMETER.sub(lambda _, found=found: str(found), path, count=1)  # type: ignore[misc]  # one at a time
        return path

    def state(self) -> dict[str, Any]:
        """Returns what every route shows that can be read, leaf by leaf."""
        seen: dict[str, Any] = {}
        for operation in self.reads:
            if (path := self.filled(operation)) is not None:
                answer = self.call(operation, path)
                seen[f"{operation}"] = str(answer.status)
                seen |= {
                    f"{operation} {number} {name}": value for number, (name, value) in enumerate(_leaves(answer.data))
                }
        return seen

    def signs(self, other: Explorer) -> list[str]:
        """Returns what is this tenant's, and not the other's: its marks, its names, the keys of its rows."""
        names = [name for name in self.caller.names if name not in other.caller.names]
        return [self.mark, *names, *sorted(self.own - other.own)]


def new_mark() -> str:
    """Returns a word that stands nowhere yet."""
    return f"mark{secrets.token_hex(6)}"


def steady(explorer: Explorer) -> dict[str, Any]:
    """Returns a state without what is another at each call."""
    first, second = explorer.state(), explorer.state()
    return {name: value for name, value in first.items() if second.get(name) == value}


def _is_second(value: str) -> bool:
    """Whether a text is a day, or a time to the second, which two tenants may well share."""
    try:
        return datetime.datetime.fromisoformat(value).microsecond == 0
    except ValueError:
        return False


def _place(name: str, path: str) -> tuple[str, str]:
    """Returns what stands in a path before a parameter, and the kind of row that it names."""
    return path.partition("{" + name)[0].rstrip("/"), name.removesuffix("_id")


def _lists(known: str, before: str, kind: str) -> bool:
    last = known.rstrip("/").rpartition("/")[2]
    return (bool(before) and known.rstrip("/") == before) or (bool(kind) and last in (kind, f"{kind}s", f"{kind}es"))


def _leaves(data: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _leaves(value, str(key))
    elif isinstance(data, list):
        for value in data:
            yield from _leaves(value, name)
    elif data is not None:
        yield name, str(data)
