"""A database that exists already, entered as the placement of one tenant just as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from tenantry.catalog import adopting
from tenantry.errors import ConfigurationError, TenantCreationDisabled
from tenantry.ids import parse_uuid
from tenantry.isolation.adopted import ADOPTABLE
from tenantry.isolation.control import Control
from tenantry.isolation.postgres import APP, PostgresServer
from tenantry.isolation.servers import Server, Servers
from tenantry.isolation.sqlite import SqliteServer
from tenantry.settings import Config
from tenantry.types import Tenant

ADOPTING: Final = "Adopting a database"


def adopt(
    control: Control,
    servers: Servers,
    config: Config,
    wanted: Tenant,
    names: Sequence[tuple[str, str]],
    *,
    url: str,
    server: str | None,
) -> Tenant:
    """Returns *wanted*, entered where *url* leads; it gets no sessions before its tables have keys.

    Raises: TenantCreationDisabled, ConfigurationError, TenantExists, IdentityTaken, TenantLimitReached, LoginRequired.
    """
    if not config.allow_tenant_creation:
        raise TenantCreationDisabled
    place, physical = find_existing(servers, url, server=server)
    adopted = replace(wanted, server=place, physical=physical)
    with control.manage(ADOPTING) as connection:
        if taken := adopting.tenants_at(connection, place, physical):
            fix = f"It is the tenant {taken[0]}'s; look at it with tenancy.tenants.get({taken[0]!r})."
            raise ConfigurationError(what=f"{physical} is adopted already.", fix=fix)
        adopting.register(connection, [(adopted, names)], ceiling=config.max_tenants)
    return adopted


def find_existing(servers: Servers, url: str, *, server: str | None = None) -> tuple[str, str]:
    """Returns the server and the physical name of the database that *url* leads to; its user and password are not used.

    An SQLite file may lie anywhere; *server* says whose it becomes, where more than one could have it.

    Raises: ConfigurationError for a database that is not there, is ours, or is on no server of this installation.
    """
    try:
        asked = make_url(url)
    except ArgumentError:
        fix = "Say postgresql://host/database or sqlite:///path."
        raise ConfigurationError(what="The database URL cannot be read.", fix=fix) from None
    if asked.get_backend_name() == "sqlite":
        return _find_file(servers, Path(asked.database or "").resolve(), server)
    found = _server_at(servers, asked, server)
    return found.name, _check_database(found, asked.database or "")


def _find_file(servers: Servers, path: Path, wanted: str | None) -> tuple[str, str]:
    homes = [one for one in _candidates(servers, wanted) if isinstance(one, SqliteServer)]
    if not homes:
        raise ConfigurationError(what="No SQLite server is known.", fix="tenancy.servers.add(name, 'sqlite:///…').")
    if not path.is_file():
        raise ConfigurationError(what=f"There is no file {path}.", fix="Give the path of the customer's file.")
    if any(path.is_relative_to(Path(home.location).resolve()) for home in homes):
        raise ConfigurationError(what=f"{path} is one of our own files.", fix="Give the path of the customer's file.")
    return homes[0].name, str(path)


def _server_at(servers: Servers, asked: URL, wanted: str | None) -> PostgresServer:
    for server in _candidates(servers, wanted):
        if isinstance(server, PostgresServer) and _address(server.url(APP, action=ADOPTING)) == _address(asked):
            return server
    raise ConfigurationError(
        what=f"No server of this installation is at {asked.host}:{asked.port or 5432}.",
        fix="Make it known first: tenancy.servers.add(name, url, owner_url=…).",
    )


def _candidates(servers: Servers, wanted: str | None) -> list[Server]:
    return [servers.get(wanted)] if wanted else servers.all()


def _address(url: URL) -> tuple[str | None, int, str]:
    return url.host, url.port or 5432, str(url.query.get("host", ""))


def _check_database(server: PostgresServer, name: str) -> str:
    if not ADOPTABLE.fullmatch(name):
        fix = "ALTER DATABASE … RENAME TO a name of letters, digits, '_', '.' and '-'."
        raise ConfigurationError(what=f"The name {name!r} cannot stand in a URL as it is.", fix=fix)
    ours = name == server.database or (name.startswith("t_") and parse_uuid(name.removeprefix("t_")))
    if ours or name in ("postgres", "template0", "template1"):
        raise ConfigurationError(what=f"{name} is no customer's database.", fix="Give the one that is to be adopted.")
    with server.owner(action=ADOPTING) as connection:
        question = "select 1 from pg_database where datname = %s and datallowconn and not datistemplate"
        if connection.execute(question, (name,)).fetchone() is None:
            raise ConfigurationError(what=f"There is no database {name}.", fix="Check the URL.")
    return name
