"""PostgreSQL logins, each in one of the four roles, with a password that is told once."""

from __future__ import annotations

import secrets
from typing import Final

from tenantry.errors import ConfigurationError, IsolationUnavailable
from tenantry.isolation.postgres import APP, OPERATOR, OWNER, PLATFORM, PostgresServer
from tenantry.isolation.servers import Server
from tenantry.isolation.wall import quote
from tenantry.settings import NAME

_ROLES: Final = (APP, OPERATOR, OWNER, PLATFORM)
_ACTION: Final = "Making a login"


def make_login(server: Server, name: str, *, role: str) -> str:
    """Makes a login in *role*, or gives it a new password, and returns its URL.

    Raises: ConfigurationError, IsolationUnavailable on SQLite, LoginRequired without the owner's login.
    """
    if not isinstance(server, PostgresServer):
        raise IsolationUnavailable(isolation="logins", server=server.name, reason="SQLite has no logins.")
    if role not in _ROLES or not NAME.fullmatch(name):
        raise ConfigurationError(
            what=f"No login {name!r} can be made in role {role!r}.",
            fix=f"Use a plain lower-case name, and one of {', '.join(_ROLES)}.",
        )
    password = secrets.token_urlsafe(24)
    server.run_each(_statements(server, name, role, password), action=_ACTION)
    url = server.url(OWNER, action=_ACTION, database=server.database).set(username=name, password=password)
    return url.render_as_string(hide_password=False)


def _statements(server: PostgresServer, name: str, role: str, password: str) -> list[str]:
    login, group = quote(name), server.config.role(role)
    # token_urlsafe yields letters, digits, '-' and '_' only: nothing to escape.
    create = (
        f"DO $$ BEGIN CREATE ROLE {login} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    return [
        create,
        f"ALTER ROLE {login} LOGIN NOCREATEDB NOCREATEROLE PASSWORD '{password}'",
        f"GRANT {group} TO {login}",
        # Outside a transaction of ours an unqualified name finds nothing.
        f"ALTER ROLE {login} SET search_path = ''",
    ]
