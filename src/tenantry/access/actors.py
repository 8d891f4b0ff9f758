"""Who asks: an actor, told to a session once, and asked for wherever something may only be done by some."""

from __future__ import annotations

import functools
import inspect
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, ParamSpec, TypeVar, cast

from sqlalchemy.orm import Session

from tenantry.access.permissions import exactly, permits
from tenantry.errors import ConfigurationError, PermissionDenied
from tenantry.session.core import tenant_id_of

P = ParamSpec("P")
R = TypeVar("R")

# In Session.info; the first two are what the audit reads.
ACTOR: Final = "actor"
IMPERSONATOR: Final = "impersonator"
CLAIMS: Final = "claims"


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who asks: in one tenant, or, where that is None, on the platform; ``permissions`` are all it holds."""

    subject: str
    tenant: uuid.UUID | None = None
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    impersonator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims(Actor):
    """What a verified token says; *login* is the log-in that it belongs to."""

    token_id: uuid.UUID
    issued_at: datetime
    expires_at: datetime
    login: uuid.UUID | None = field(default=None)


def act_as(who: Any, actor: Actor) -> None:
    """Tells a session, of either door, who asks; from now on ``require`` asks of that actor, and the audit names it.

    Raises: PermissionDenied for an actor of another tenant, or a second one.
    """
    session = _session_in(who)
    if session is None:
        raise ConfigurationError(what=f"A {type(who).__name__} is no session.", fix="Give the session itself.")
    _check_tenant(actor, session, "act")
    if (session.info.get(CLAIMS) or actor) != actor:
        raise PermissionDenied(
            subject=actor.subject, permission="act", reason="this session is somebody else's already."
        )
    session.info.update({CLAIMS: actor, ACTOR: actor.subject, IMPERSONATOR: actor.impersonator})


def can(who: Any, permission: str) -> bool:
    """Returns whether an actor, or the actor of a session or of what holds one, has a permission.

    Raises: ConfigurationError for a permission that is none, or holds a ``*``.
    """
    try:
        require(who, permission)
    except PermissionDenied:
        return False
    return True


def require(who: Any, permission: str) -> Actor:
    """Returns the actor, if it has the permission; a session to which nobody was told has none.

    Raises: PermissionDenied, ConfigurationError for a permission that is none, or holds a ``*``.
    """
    wanted = exactly(permission)
    actor = _actor_in(who, wanted)
    if not permits(actor.permissions, wanted):
        raise PermissionDenied(subject=actor.subject, permission=str(wanted), reason="no role of theirs holds it.")
    return actor


def requires(permission: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates a function, plain or async: it runs only for an actor who has the permission.

    Its first argument that is an actor, a session, or an object with a ``session`` says who that is.

    Raises: ConfigurationError for a permission that is none, or holds a ``*``.
    """
    wanted = exactly(permission)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                require(_speaker(args, kwargs), wanted)
                return await function(*args, **kwargs)

            return cast("Callable[P, R]", run_async)

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            require(_speaker(args, kwargs), wanted)
            return function(*args, **kwargs)

        return run

    return decorate


def _speaker(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = (*args, *kwargs.values())
    return next((value for value in given if isinstance(value, Actor) or _session_in(value) is not None), None)


def _actor_in(who: Any, permission: str) -> Actor:
    if isinstance(who, Actor):
        return who
    session = _session_in(who)
    actor = None if session is None else session.info.get(CLAIMS)
    if session is None or not isinstance(actor, Actor):
        raise PermissionDenied(subject="Somebody", permission=permission, reason="nobody has said who asks.")
    # Whoever put it there need not have looked.
    _check_tenant(actor, session, permission)
    return actor


def _check_tenant(actor: Actor, session: Session, permission: str) -> None:
    if actor.tenant != tenant_id_of(session):
        raise PermissionDenied(
            subject=actor.subject, permission=permission, reason="the session belongs to another tenant than they do."
        )


def _session_in(value: Any) -> Session | None:
    """Returns the session that *value* is, or holds; no property is asked, since those of a request raise."""
    if isinstance(value, Session):
        return value
    own = getattr(value, "__dict__", {})
    held = own.get("sync_session", own.get("session"))
    return None if held is None or held is value else _session_in(held)
