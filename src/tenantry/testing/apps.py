"""The leak suite for an application's API: each route replayed with what is another tenant's.

``assert_app_isolated(app, a=Caller(…), b=Caller(…))``: the routes come from the application's OpenAPI description, the
rows from its own routes, and a websocket's from the application's routes. It writes, so run it on a test database.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from tenantry.testing.asgi import Answer, App, Client, Request
from tenantry.testing.describing import PARAMETER, TENANT_WORDS, Operation, missing_like, operations
from tenantry.testing.exploring import Caller, Explorer, new_mark, steady
from tenantry.testing.leaks import refuse
from tenantry.types import Finding

__all__ = ["Caller", "assert_app_isolated", "leaks_of"]

# How requests say whose they are, where an application believes them.
HEADERS: Final = ("X-Tenant", "X-Tenant-ID", "X-Tenant-Slug", "X-Org-ID", "X-Organization-ID", "X-Company-ID")
NAMES: Final = ("tenant", "tenant_id", "tenant_slug", "org", "org_id", "organization_id", "company", "company_id")
_FIX: Final = "Read and write through the request's session (tenantry.web), and take the tenant from the token alone."
_ROUNDS: Final = 3
_MORE: Final = 2
_PREFIX: Final = -4
_PATH: Final = re.compile(r"^(?:https?://[^/]+)?(/?[\w.@-]+(?:/[\w.@-]+)+)$")


class Walk:
    """Two callers of one application, A who tries and B whose rows are not to be reached, and what they made."""

    def __init__(self, client: Client, app: App, a: Caller, b: Caller, *, description: Mapping[str, Any]) -> None:
        self.client = client
        self.app = app
        found = operations(description)
        self.a, self.b = Explorer(client, a, found), Explorer(client, b, found)
        # B first: what is kept for it is there when A asks.
        for explorer in (self.b, self.a):
            explorer.walk()
        # Rows that are numbered have the same numbers on both sides, as far as A's go.
        for operation in self.b.makes * _MORE:
            self.b.make(operation, new_mark())
        self.b.look()

    def signs_in(self, answer: Answer, *requests: Request) -> list[str]:
        """Returns what of B's is in an answer that was not in the requests."""
        sent = " ".join(request.sent for request in requests)
        return [sign for sign in self.b.signs(self.a) if sign in answer.text and sign not in sent]


def found_showing(walk: Walk) -> Iterator[Finding]:
    """Yields the routes that show A something of B's, or show anything to who is nobody."""
    for operation in walk.a.reads:
        path = walk.a.filled(operation)
        if path is None:
            continue
        walk.b.call(operation, walk.b.filled(operation))
        yield from _told(walk, "shown", operation, walk.a.request(operation, path))
        nobody = dataclasses.replace(walk.b.request(operation, walk.b.filled(operation)), headers={})
        answer = walk.client.call(nobody)
        if answer.ok and walk.signs_in(answer):
            yield _finding("open", operation, "shows a tenant's rows to whoever brings no token.")


def found_searching(walk: Walk) -> Iterator[Finding]:
    """Yields the routes that complete the beginning of a word of B's."""
    for operation in walk.a.reads:
        for name, schema in operation.query.items():
            if schema.get("type") == "string" and not TENANT_WORDS.search(name):
                asked = walk.a.request(operation, walk.a.filled(operation), **{name: walk.b.mark[:_PREFIX]})
                yield from _told(walk, "search", operation, asked)


def found_following(walk: Walk) -> Iterator[Finding]:
    """Yields the paths and links among B's answers that A may follow, or anybody."""
    told = {value for values in walk.b.values.values() for value in values}
    for value in sorted(told - {each for values in walk.a.values.values() for each in values}):
        if (link := _PATH.match(value)) is None:
            continue
        for headers in (walk.a.caller.headers, {}):
            asked = Request("GET", "/" + link[1].lstrip("/"), headers)
            answer = walk.client.call(asked)
            if answer.ok and walk.signs_in(answer, asked):
                yield Finding("link", asked.path, "a link of another tenant's can be followed.", _FIX)


def found_replaying(walk: Walk) -> Iterator[Finding]:
    """Yields the routes that answer to B's keys otherwise than to keys that nobody has, or change what is B's."""
    before = steady(walk.b)
    for operation in (each for each in walk.a.operations if each.parameters):
        for values in _foreign(walk, operation):
            yield from _replayed(walk, operation, values)
    after = walk.b.state()
    for name, value in before.items():
        if after.get(name) != value:
            yield Finding("changed", name, "shows its tenant something else after another tenant's calls.", _FIX)


def found_referring(walk: Walk) -> Iterator[Finding]:
    """Yields the routes that answer to a body or a query with B's keys otherwise than to one with keys of nobody."""
    for operation in walk.a.operations:
        path = walk.a.filled(operation)
        for name in operation.references if path is not None else ():
            own = walk.a.references(name)
            for key in [each for each in walk.b.references(name) if each not in own][:1]:
                yield from _referred(walk, operation, path or "", name, key)


def found_overriding(walk: Walk) -> Iterator[Finding]:
    """Yields the routes that let a header, a query or a body say whose rows are meant."""
    marks: dict[str, Operation] = {}
    for operation in walk.a.operations:
        path = walk.a.filled(operation)
        if path is None or operation.method == "DELETE":
            continue
        for name in walk.b.caller.names:
            mark = new_mark()
            marks[mark] = operation
            for asked in _overrides(walk, operation, path, name, mark):
                yield from _told(walk, "override", operation, asked)
    seen = str(walk.b.state())
    yield from (
        _finding("override", operation, "writes where the request says, not where its token does.")
        for mark, operation in marks.items()
        if mark in seen
    )


def found_counting(walk: Walk) -> Iterator[Finding]:
    """Yields the routes whose answer to A is another once B has made something."""
    before = steady(walk.a)
    for operation in walk.b.makes:
        walk.b.make(operation, new_mark())
    after = walk.a.state()
    for name, value in before.items():
        if after.get(name) != value:
            yield Finding("count", name, f"was {value!r:.50}, and is {after.get(name)!r:.50} with B's rows.", _FIX)


def found_at_once(walk: Walk) -> Iterator[Finding]:
    """Yields the routes that mix up two requests that are under way at the same time, or what they leave behind."""
    for operation in walk.a.makes:
        for _ in range(_ROUNDS):
            marks, requests = (new_mark(), new_mark()), []
            for explorer, mark in zip((walk.a, walk.b), marks, strict=True):
                body = explorer.body_for(operation, mark)
                requests.append(explorer.request(operation, explorer.filled(operation), body=body))
            walk.client.call_at_once(requests)
            if marks[1] in str(walk.a.state()) or marks[0] in str(walk.b.state()):
                yield _finding("at-once", operation, "mixes up the rows of two requests at the same time.")
                break


def found_overhearing(walk: Walk) -> Iterator[Finding]:
    """Yields the websockets on which A hears what B says, in a room of B's or in one of the same name."""
    for path in _websockets(walk.app):
        for filled in _rooms(walk, path):
            word = new_mark()
            heard = walk.client.overhears(
                filled, listener=walk.a.caller.headers, speaker=walk.b.caller.headers, word=word
            )
            if word in heard:
                yield Finding("overheard", path, "one tenant hears what another says.", _FIX)
                break


def found_quoting(walk: Walk) -> Iterator[Finding]:
    """Yields the routes that refuse A what it may have, since B has the same, or tell of B's row in the refusal."""
    # What A has said in B's words may be shown to it.
    sent: list[Request] = []
    for operation, body in walk.b.bodies.items():
        path = walk.a.filled(operation)
        if path is None or body is None:
            continue
        fresh = walk.a.body_for(operation, new_mark())
        expected = walk.a.call(operation, path, body=fresh)
        asked = walk.a.request(operation, path, body=_texts_of(body, walk.a.body_for(operation, new_mark())))
        answer = walk.client.call(asked)
        sent.append(asked)
        refused = expected.ok and not answer.ok
        if refused and operation.parameters:
            # A step that fits once is refused to whoever takes it again.
            refused = walk.a.call(operation, path, body=walk.a.body_for(operation, new_mark())).ok
        if walk.signs_in(answer, *sent) or refused:
            yield _finding("quoted", operation, f"answers {answer.status} and tells of another tenant's row.")


CHECKS: Final[tuple[Callable[[Walk], Iterator[Finding]], ...]] = (
    found_showing,
    found_searching,
    found_following,
    found_replaying,
    found_referring,
    found_overriding,
    found_counting,
    found_at_once,
    found_overhearing,
    found_quoting,
)


def leaks_of(
    app: App, *, a: Caller, b: Caller, description: Mapping[str, Any] | None = None, untried: Collection[str] = ()
) -> list[Finding]:
    """Returns every leak that the suite finds, A trying and B's rows at stake, each thing said once.

    *description* is the OpenAPI document; without it the application is asked for ``/openapi.json``. A route that made
    or showed nothing for B, or could not be asked for what is B's, is a finding too, unless it stands in *untried*, as
    ``"POST /log-in"`` may. One that ends the callers' tokens is not to be in the description.
    """
    with Client(app) as client:
        told = description or client.call(Request("GET", "/openapi.json")).data
        if not told or not told.get("paths"):
            fix = "Pass it: description=app.openapi()."
            return [Finding("undescribed", "/openapi.json", "describes no routes, so none was tried.", fix)]
        walk = Walk(client, app, a, b, description=told)
        found = [finding for check in CHECKS for finding in check(walk)]
        # It deletes, so it is the last.
        return [*_untried(walk, untried), *dict.fromkeys(found)]


def assert_app_isolated(
    app: App, *, a: Caller, b: Caller, description: Mapping[str, Any] | None = None, untried: Collection[str] = ()
) -> None:
    """Lets an application pass none of whose routes leads from A to what is B's; the arguments are ``leaks_of``'s.

    Raises: LeaksFound.
    """
    refuse(leaks_of(app, a=a, b=b, description=description, untried=untried))


def _untried(walk: Walk, allowed: Collection[str]) -> Iterator[Finding]:
    """Yields the routes that made or showed nothing of B's, or know no key of B's: nothing can be found behind them."""
    whys = {
        "took none of the bodies made up for it.": [each for each in walk.b.makes if each not in walk.b.bodies],
        "showed its own tenant nothing.": [each for each in walk.b.reads if each not in walk.b.read],
        "was asked for none of another tenant's keys.": [
            each for each in walk.a.operations if each.parameters and not _foreign(walk, each)
        ],
        # The last, since what is behind others goes.
        "deleted nothing of its own tenant's.": [each for each in walk.b.deletes if not walk.b.delete(each)],
    }
    for message, found in whys.items():
        for operation in (each for each in found if str(each) not in allowed):
            fix = "Give the callers a body for it, tokens that may, or the ids that it needs; or name it in untried=."
            yield Finding("untried", str(operation), message, fix)


def _told(walk: Walk, code: str, operation: Operation, asked: Request) -> Iterator[Finding]:
    answer = walk.client.call(asked)
    if walk.signs_in(answer, asked):
        yield _finding(code, operation, f"tells of another tenant's rows ({answer.status}).")


def _finding(code: str, operation: Operation, message: str) -> Finding:
    return Finding(code, str(operation), message, _FIX)


def _foreign(walk: Walk, operation: Operation) -> list[dict[str, str]]:
    """Returns B's keys for a path, those left out that A has too."""
    found = []
    for name in operation.parameters:
        own = walk.a.known(name, operation.path)
        foreign = [{name: key} for key in walk.b.known(name, operation.path) if key not in own]
        found += [*foreign[:1], *foreign[1:][-1:]]
    return [values for values in found if walk.a.filled(operation, values) is not None] or _all_foreign(walk, operation)


def _all_foreign(walk: Walk, operation: Operation) -> list[dict[str, str]]:
    pairs = {name: next(iter(walk.b.known(name, operation.path)), None) for name in operation.parameters}
    whole = {name: key for name, key in pairs.items() if key is not None}
    own = {key for name in operation.parameters for key in walk.a.known(name, operation.path)}
    return [whole] if len(whole) == len(pairs) and not own & set(whole.values()) else []


def _replayed(walk: Walk, operation: Operation, values: Mapping[str, str]) -> Iterator[Finding]:
    body = walk.a.body_for(operation, new_mark())
    missing = {name: missing_like(key) for name, key in values.items()}
    answers = []
    for keys in (values, missing):
        asked = walk.a.request(operation, walk.a.filled(operation, keys), body=body)
        answers.append(_answered(walk, asked, list(keys.values())))
    yield from _judged(operation, "key", *answers)


def _referred(walk: Walk, operation: Operation, path: str, name: str, key: str) -> Iterator[Finding]:
    answers = []
    for each in (key, missing_like(key)):
        mark = new_mark()
        body = walk.a.body_for(operation, mark)
        if name in operation.query:
            asked = walk.a.request(operation, path, body=body, **{name: each})
        else:
            asked = walk.a.request(operation, path, body={**(body or {}), name: each})
        answers.append(_answered(walk, asked, [each, mark]))
    first, second = answers
    if operation.method != "GET" and first.ok and second.ok:
        # Two rows were made, each with a key and a time of its own.
        first, second = dataclasses.replace(first, words=""), dataclasses.replace(second, words="")
    yield from _judged(operation, name, first, second)


@dataclasses.dataclass(frozen=True, slots=True)
class _Answered:
    """An answer without what was sent, and what of B's it tells."""

    status: int
    words: str
    signs: list[str]
    ok: bool


def _answered(walk: Walk, asked: Request, sent: Sequence[str]) -> _Answered:
    answer = walk.client.call(asked)
    words = answer.content.decode(errors="replace")
    for each in sent:
        # By itself: the key 4 is no part of the status 404.
        words = re.sub(rf"(?<![0-9a-zA-Z]){re.escape(each)}(?![0-9a-zA-Z])", "…", words)
    return _Answered(answer.status, words, walk.signs_in(answer, asked), answer.ok)


def _judged(operation: Operation, name: str, foreign: _Answered, missing: _Answered) -> Iterator[Finding]:
    if foreign.signs:
        yield _finding("foreign", operation, f"answers another tenant's {name} with its row ({foreign.status}).")
    elif (foreign.status, foreign.words) != (missing.status, missing.words):
        told = f"{foreign.status} {foreign.words:.80} and {missing.status} {missing.words:.80}"
        yield _finding("oracle", operation, f"tells another tenant's {name} from a missing one: {told}")


def _overrides(walk: Walk, operation: Operation, path: str, name: str, mark: str) -> Iterator[Request]:
    body = walk.a.body_for(operation, mark)
    plain = walk.a.request(operation, path, body=body)
    taken = {each.lower() for each in plain.headers}
    said = {header: name for header in HEADERS if header.lower() not in taken}
    yield dataclasses.replace(plain, headers={**plain.headers, **said})
    declared = {each for each in operation.query if TENANT_WORDS.search(each)}
    for names in (declared, {*declared, *NAMES}):
        yield dataclasses.replace(plain, query={**plain.query, **dict.fromkeys(sorted(names), name)})
    if isinstance(body, dict):
        fields = {each for each in operation.properties if TENANT_WORDS.search(each)}
        for names in (fields, {*fields, *NAMES}):
            yield dataclasses.replace(plain, body={**body, **dict.fromkeys(sorted(names), name)})


def _texts_of(body: Any, fresh: Any) -> Any:
    """Returns B's body with A's own references in it."""
    if not isinstance(body, dict) or not isinstance(fresh, dict):
        return body
    return {name: fresh[name] if name.endswith("_id") and name in fresh else value for name, value in body.items()}


def _websockets(app: App) -> list[str]:
    """Returns the paths of an application's websockets: routes that take no methods, and end in one."""
    routes = _routes(getattr(app, "routes", ()))
    return [each.path for each in routes if hasattr(each, "endpoint") and not hasattr(each, "methods")]


def _routes(routes: Sequence[Any]) -> Iterator[Any]:
    for each in routes:
        yield each
        yield from _routes(getattr(each, "routes", None) or ())


def _rooms(walk: Walk, path: str) -> list[str]:
    names = PARAMETER.findall(path)
    if not names:
        return [path]
    known: dict[str, str | None] = {name: next(iter(walk.b.known(name, path)), None) for name in names}
    rooms: list[dict[str, str | None]] = [known, dict.fromkeys(names, "lobby")]
    return [_filled(path, room) for room in rooms if None not in room.values()]


def _filled(path: str, values: Mapping[str, str | None]) -> str:
    return PARAMETER.sub(lambda match: str(values[match[1]]), path)
