"""How the seed's programs say where the database is: ``POSTGRES_*``, as values."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self
from urllib.parse import quote

from tenantry.errors import ConfigurationError
from tenantry.settings import Config

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# What a database is called that may be dropped: the word test, or tests, by itself.
TEST_NAME: Final = re.compile(r"(?:[a-z0-9_]*_)?tests?(?:_[a-z0-9_]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresConnectionConfig:
    """Where a PostgreSQL database is, and by which login; the password is in no repr.

    Raises: ConfigurationError for a port or an SSL mode that there is none of.
    """

    host: str = "localhost"
    port: int = 5432
    database: str
    username: str
    password: str = field(default="", repr=False)
    schema: str = "public"
    ssl_mode: str = "prefer"

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ConfigurationError(what=f"{self.port} is no port.", fix="Set POSTGRES_PORT to 1 to 65535.")
        if self.ssl_mode not in SSL_MODES:
            raise ConfigurationError(
                what=f"{self.ssl_mode!r} is no SSL mode.",
                fix=f"Set POSTGRES_SSL_MODE to one of {', '.join(SSL_MODES)}.",
            )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Returns what ``POSTGRES_HOST``, ``_PORT``, ``_DB``, ``_USER``, ``_PASSWORD``, ``_SCHEMA``, ``_SSL_MODE`` say.

        Raises: ConfigurationError without a database or a user.
        """
        env = os.environ if environ is None else environ
        missing = [name for name in ("POSTGRES_DB", "POSTGRES_USER") if not env.get(name)]
        if missing:
            raise ConfigurationError(
                what=f"The environment says no {' and no '.join(missing)}.", fix="Set them, as in .env.example."
            )
        return cls(
            host=env.get("POSTGRES_HOST", "localhost"),
            port=_port(env.get("POSTGRES_PORT", "5432")),
            database=env["POSTGRES_DB"],
            username=env["POSTGRES_USER"],
            password=env.get("POSTGRES_PASSWORD", ""),
            schema=env.get("POSTGRES_SCHEMA", "public"),
            ssl_mode=env.get("POSTGRES_SSL_MODE", "prefer"),
        )

    @property
    def url(self) -> str:
        """The same as a URL, with the password."""
        login = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}"
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(self.database, safe='')}?sslmode={self.ssl_mode}"

    @property
    def is_test(self) -> bool:
        """Whether the database is called as test databases are: ``test_db``, ``shop_test``, ``test``."""
        return TEST_NAME.fullmatch(self.database) is not None

    def on(self, database: str) -> Self:
        """Returns the same for another database of the server."""
        return replace(self, database=database)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresPoolConfig:
    """How many connections are kept, and for how many seconds.

    ``pool_pre_ping`` is there to be given: a connection that was lost is thrown away where it is found out, and no
    statement is spent on asking each time.
    """

    pool_size: int = 5
    max_overflow: int = 5
    pool_timeout: float = 30.0
    pool_recycle: float = 1800.0
    pool_pre_ping: bool = True

    def settings(self, connection: PostgresConnectionConfig, *, demote: bool = False) -> Config:
        """Returns the choices of a tenancy on that connection."""
        return Config(
            common_schema=connection.schema,
            pool_size=self.pool_size,
            max_overflow=self.max_overflow,
            pool_timeout=self.pool_timeout,
            pool_recycle=self.pool_recycle,
            demote=demote,
        )


def _port(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigurationError(what=f"POSTGRES_PORT={text!r} is no port.", fix="Give a number.") from None
