"""Databases by name, as the assistant's document has them, ``"primary"`` and ``"company_1"``; and which is meant."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextvars import ContextVar, Token
from pathlib import Path
from typing import Any, Final

from tenantry.access import Claims
from tenantry.doors import Door
from tenantry.errors import ConfigurationError, DatabaseContextMissing, DatabaseNameRefused, TenantsDisagree
from tenantry.isolation.servers import MAIN
from tenantry.isolation.sqlite import PLATFORM, SqliteServer
from tenantry.jobs.context import Job, bound_here
from tenantry.packs.assistant.base import COMPANY_KIND, AssistantBase, number_of
from tenantry.packs.assistant.pack import Assistant, made
from tenantry.session.core import BoundSession
from tenantry.types import Isolation, TenantKey
from tenantry.web.context import TenantContext, request_context

PRIMARY: Final = "primary"

_PRIMARY: Final = re.compile(r"primary(?:_database)?(?:\.db)?")
_COMPANY: Final = re.compile(r"company_(?P<number>[1-9][0-9]{0,9})(?:\.db)?")
# A loop that sets and never clears keeps no more than this of what it had set.
_DEEPEST: Final = 32
_OPENED: Final = "tenantry_assistant_opened"

door: Final = Door("assistant", AssistantBase, make=made)

# Names, and the request or job in which they were set: servers and workers hand on the variables of the one before.
Named = tuple[TenantContext | Job | None, tuple[str, ...]]

_named: ContextVar[Named] = ContextVar("tenantry_assistant_databases", default=(None, ()))


def use(assistant: Assistant) -> None:
    """Has the names of this module lead into the assistant's tenancy, which stays the caller's to close."""
    door.use(assistant.tenancy, assistant)


def set_database_context(db_name: str) -> Token[Named]:
    """Makes a database the one that is meant in this task or thread, until it is cleared or the request or job is over.

    Raises: DatabaseNameRefused.
    """
    return _named.set((_here(), (*_names(), canonical(db_name))[-_DEEPEST:]))


def get_database_context() -> str:
    """Returns the name of the database that is meant.

    Raises: DatabaseContextMissing where none was set.
    """
    names = _names()
    if not names:
        raise DatabaseContextMissing
    return names[-1]


def clear_database_context(token: Token[Named] | None = None) -> None:
    """Makes the database meant that was so before the last one was set, or before the *token* was given; else none."""
    if token is not None:
        _named.reset(token)
    else:
        _named.set((_here(), _names()[:-1]))


@contextlib.contextmanager
def database_context(db_name: str) -> Iterator[str]:
    """Makes a database the one that is meant inside, and the one before it afterwards, whatever was set inside.

    Raises: DatabaseNameRefused.
    """
    token = set_database_context(db_name)
    try:
        yield get_database_context()
    finally:
        _named.reset(token)


def get_db_session(db_name: str | None = None) -> BoundSession:
    """Opens a session of the named database, the one that is meant, or the request's or job's; the caller commits.

    A company's session is of that company alone; the primary's reaches users, companies, roles and permissions. It
    closes at the end of a ``with`` block, or by ``close()``.

    Raises: DatabaseContextMissing where none is named, DatabaseNameRefused, TenantsDisagree for a company that the
        request or job is not for, as ``Tenancy.session``.
    """
    name = canonical(db_name) if db_name is not None else _meant()
    if name == PRIMARY:
        return _primary()
    here = _here()
    if isinstance(here, Job) and here.envelope.tenant is not None:
        return _of_job(here, name)
    return door.session(None if name is None or _of_request(here, name) else key_of(name))


def get_database_path(db_name: str) -> Path:
    """Returns the file that holds a database, where databases are files.

    Raises: DatabaseNameRefused, TenantNotFound, ConfigurationError where they are none.
    """
    key, tenancy = key_of(canonical(db_name)), door.tenancy
    tenant = None if key is None else tenancy.tenants.get(key)
    server = tenancy.servers.get(MAIN if tenant is None else tenant.server)
    if not isinstance(server, SqliteServer):
        raise ConfigurationError(
            what=f"{db_name} is no file: it is on {server.name}, which is PostgreSQL.",
            fix="Open it with get_db_session(...).",
        )
    if tenant is None:
        return Path(server.location) / PLATFORM
    if tenant.isolation is not Isolation.DATABASE:
        return server.common_file
    return Path(server.location) / tenant.physical


def set_sqlite_pragma(dbapi_conn: Any, connection_record: Any) -> None:  # noqa: ARG001  # as events call it
    """Turns foreign keys on for a connection of SQLite; any other is left alone. The pack's own have them on."""
    if "sqlite" in type(dbapi_conn).__module__:
        cursor = dbapi_conn.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()


def canonical(db_name: str) -> str:
    """Returns the one name of a database, which may be written with ``.db``.

    Raises: DatabaseNameRefused for anything else, such as a path.
    """
    if isinstance(db_name, str):
        if _PRIMARY.fullmatch(db_name):
            return PRIMARY
        if found := _COMPANY.fullmatch(db_name):
            return f"company_{found['number']}"
    raise DatabaseNameRefused(name=db_name)


def key_of(name: str) -> TenantKey | None:
    """Returns what finds the tenant of a database by its one name, or None for the primary."""
    found = _COMPANY.fullmatch(name)
    return None if found is None else (COMPANY_KIND, found["number"])


def _meant() -> str | None:
    """Returns the name of the database that is meant, or None where the request's or the job's company is."""
    if _names():
        return get_database_context()
    here = _here()
    if isinstance(here, Job) and here.envelope.tenant is not None:
        return None
    if isinstance(here, TenantContext) and here.found is not None:
        return None
    # Whoever is of the platform works in the primary.
    if isinstance(here, TenantContext) and isinstance(here.claims, Claims) and here.claims.tenant is None:
        return PRIMARY
    raise DatabaseContextMissing


def _names() -> tuple[str, ...]:
    """Returns what was set in this request or job, or, outside of these, in this task or thread."""
    where, names = _named.get()
    return names if where is _here() else ()


def _here() -> TenantContext | Job | None:
    """Returns the job that runs here, or else the request."""
    bound = bound_here()
    return request_context() if bound is None or bound.job is None else bound.job


def _of_job(job: Job, name: str | None) -> BoundSession:
    """Opens a session of the job's company, which knows who sent the job.

    Raises: TenantsDisagree for the name of another.
    """
    own = door.tenancy.router.route(job.tenant).tenant
    if name not in (None, f"company_{number_of(own)}"):
        raise TenantsDisagree
    session = door.session(own.id)
    session.info.update(job.envelope.facts())
    return session


def _of_request(here: TenantContext | Job | None, name: str) -> bool:
    """Returns whether a company is the one that the request is for; a request of nobody's is for none.

    Raises: TenantsDisagree for another company than the request's, and for one named by somebody of the platform, who
        looks into companies by ``as_company``.
    """
    if not isinstance(here, TenantContext) or (here.found is None and here.claims is None):
        return False
    # Not looked up: a company that is not there is refused as another's is.
    if here.found is None or f"company_{number_of(here.found)}" != name:
        raise TenantsDisagree
    return True


def _primary() -> BoundSession:
    opening = door.tenancy.platform()
    session = opening.__enter__()
    # What the session was opened by ends with it.
    session.info[_OPENED] = opening
    return session
