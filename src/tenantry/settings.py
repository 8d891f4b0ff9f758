"""What an installation may choose, with the defaults; and the same read from environment variables."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tenantry.errors import ConfigurationError

CONTEXT_SETTING: Final = re.compile(r"[a-z_][a-z0-9_]{0,30}\.[a-z_][a-z0-9_]{0,30}")
NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,30}")
# One letter before the colon is a drive.
_IN_PACKAGE: Final = re.compile(r"(?P<package>[A-Za-z_]\w[\w.]*):(?P<folder>[\w./-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The choices of one installation; times are in seconds.

    Args:
        context_setting: the PostgreSQL setting that carries the bound tenant, two words joined by a dot.
        common_schema: the schema in which the common tables stand.
        role_prefix: what the names of the four group roles begin with.
        extensions: the PostgreSQL extensions that the models need; they stand in ``tenantry_extensions``.
        max_tenants: how many tenants there may be at most; None is no ceiling.
        allow_tenant_creation: whether tenants may be created at all.
        route_ttl: how long another process may go on serving a tenant that was suspended, or by a slug that it gave up.
        route_limit: how many tenants' placements a process keeps in memory.
        pool_size: how many connections a pool keeps.
        max_overflow: how many more a pool may open while all are in use.
        pool_timeout: how long a session waits for a connection.
        pool_recycle: after how long a connection is replaced.
        engine_limit: how many tenants' own databases or files have a pool at once.
        connection_budget: how many connections of a server tenants' own databases, or files, may use together.
        statement_timeout: how long a statement may run; None is as long as the server lets it.
        prepared_statements: whether the drivers prepare statements; not behind a pooler that hands them around.
        demote: lets a superuser's login serve sessions, which then step down to the app's role; for development.
        migrations: where the application's Alembic scripts are, the directory that holds ``versions``, or
            ``package:directory`` for one that a package has.
        warm: how many placements are kept ready, by isolation, or by server and isolation:
            ``{"schema": 5, "eu/database": 2}``.

    Raises: ConfigurationError for a name that cannot stand in SQL, or a limit below one.
    """

    context_setting: str = "tenantry.tenant"
    common_schema: str = "public"
    role_prefix: str = "tenantry"
    extensions: tuple[str, ...] = ()
    max_tenants: int | None = None
    allow_tenant_creation: bool = True
    route_ttl: float = 10.0
    route_limit: int = 10_000
    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: float = 30.0
    pool_recycle: float = 3600.0
    engine_limit: int = 64
    connection_budget: int = 20
    statement_timeout: float | None = None
    prepared_statements: bool = True
    demote: bool = False
    migrations: str | None = None
    warm: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.migrations is not None:
            object.__setattr__(self, "migrations", folder_of(self.migrations))
        if not CONTEXT_SETTING.fullmatch(self.context_setting):
            raise ConfigurationError(
                what=f"context_setting={self.context_setting!r} is not a PostgreSQL custom setting.",
                fix="Use two lower-case words joined by a dot, such as 'tenantry.tenant'.",
            )
        for name in ("common_schema", "role_prefix"):
            _check_name(name, getattr(self, name))
        for extension in self.extensions:
            _check_name("extensions", extension)
        for name in ("route_limit", "pool_size", "engine_limit", "connection_budget"):
            _check_positive(name, getattr(self, name))
        if self.statement_timeout is not None and self.statement_timeout <= 0:
            raise ConfigurationError(
                what=f"statement_timeout={self.statement_timeout} is not a time.",
                fix="Give a number of seconds above nought, or None for no limit.",
            )
        if self.max_tenants is not None:
            _check_positive("max_tenants", self.max_tenants)
        for place, size in self.warm.items():
            _check_warm(place, size)

    def role(self, login: str) -> str:
        """Returns the name of the PostgreSQL group role behind a login, such as ``tenantry_app``."""
        return f"{self.role_prefix}_{login}"


def folder_of(path: str) -> str:
    """Returns the path of a directory; one that a package has may be named ``package:directory``."""
    named = _IN_PACKAGE.fullmatch(path)
    if named is None:
        return path
    found = None
    with contextlib.suppress(ImportError):
        found = importlib.util.find_spec(named["package"])
    places = found.submodule_search_locations if found else None
    return str(Path(places[0], named["folder"])) if places else path


def config_from_env(environ: Mapping[str, str] | None = None) -> Config:
    """Returns the configuration that the environment describes; what it does not name keeps its default.

    Raises: ConfigurationError for a value of the wrong kind.
    """
    env = os.environ if environ is None else environ
    found: dict[str, object] = {}
    for variable, field, parse in _VARIABLES:
        if variable in env and field not in found:
            found[field] = _parse(variable, env[variable], parse)
    return Config(**found)  # type: ignore[arg-type]  # each value was parsed to its field's type just above


def url_from_env(environ: Mapping[str, str] | None = None) -> str:
    """Returns the run-time URL: TENANTRY_URL, then DATABASE_URL, then the POSTGRES_* parts, then SQLITE_DATA_DIR.

    Raises: ConfigurationError when none of them is set.
    """
    env = os.environ if environ is None else environ
    for variable in ("TENANTRY_URL", "DATABASE_URL"):
        if env.get(variable):
            return env[variable]
    if env.get("POSTGRES_PASSWORD") and env.get("DATABASE_TYPE", "postgresql") == "postgresql":
        return _postgres_url(env)
    if env.get("SQLITE_DATA_DIR"):
        return f"sqlite:///{env['SQLITE_DATA_DIR']}"
    raise ConfigurationError(
        what="The environment names no database.",
        fix="Set TENANTRY_URL, such as postgresql://app@db/saas or sqlite:///data.",
    )


def login_urls_from_env(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the URLs of the other logins that the environment names, by keyword of ``Tenancy``."""
    env = os.environ if environ is None else environ
    names = {login: f"TENANTRY_{login.upper()}_URL" for login in ("owner", "operator", "platform")}
    return {f"{login}_url": env[name] for login, name in names.items() if env.get(name)}


def _postgres_url(env: Mapping[str, str]) -> str:
    user = quote(env.get("POSTGRES_USER", "postgres"), safe="")
    password = quote(env["POSTGRES_PASSWORD"], safe="")
    host, port = env.get("POSTGRES_HOST", "localhost"), env.get("POSTGRES_PORT", "5432")
    return f"postgresql://{user}:{password}@{host}:{port}/{env.get('POSTGRES_DB', 'postgres')}"


def _boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off"):
        return False
    raise ValueError(text)


_VARIABLES: Final = (
    ("TENANTRY_CONTEXT_SETTING", "context_setting", str),
    ("TENANTRY_COMMON_SCHEMA", "common_schema", str),
    ("TENANTRY_MAX_TENANTS", "max_tenants", int),
    ("MAX_TENANTS", "max_tenants", int),
    ("ALLOW_TENANT_CREATION", "allow_tenant_creation", _boolean),
    ("CONNECTION_POOL_SIZE", "pool_size", int),
    ("DATABASE_POOL_SIZE", "pool_size", int),
    ("DATABASE_MAX_OVERFLOW", "max_overflow", int),
    ("DATABASE_POOL_TIMEOUT", "pool_timeout", float),
    ("DATABASE_POOL_RECYCLE", "pool_recycle", float),
    ("QUERY_TIMEOUT", "statement_timeout", float),
    ("TENANTRY_CONNECTION_BUDGET", "connection_budget", int),
    ("TENANTRY_PREPARED_STATEMENTS", "prepared_statements", _boolean),
    ("TENANTRY_DEMOTE", "demote", _boolean),
    ("TENANTRY_MIGRATIONS", "migrations", str),
)


def _parse(variable: str, text: str, parse: object) -> object:
    try:
        return parse(text)  # type: ignore[operator]  # the table above holds only callables of one str
    except ValueError as error:
        raise ConfigurationError(
            what=f"{variable}={text!r} is not usable.", fix="Give a number, or true/false for a switch."
        ) from error


def _check_name(field: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            what=f"{field} holds {name!r}, which is not a plain name.",
            fix="Use a lower-case letter or '_', then up to 30 of a-z, 0-9 and '_'.",
        )


def _check_warm(place: str, size: int) -> None:
    if place.rpartition("/")[2] not in ("schema", "database") or size < 0:
        raise ConfigurationError(
            what=f"warm={{{place!r}: {size}}} names no placements that could be kept ready.",
            fix="Write {'schema': 5}, {'database': 2} or {'server/schema': 5}, each with a whole number.",
        )


def _check_positive(field: str, value: float) -> None:
    if value < 1:
        raise ConfigurationError(what=f"{field}={value} is below one.", fix="Give a whole number of at least 1.")
