"""The environment of a helpdesk: which database, how a company may be called, and what a company has set."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tenantry.doors import identity_value
from tenantry.doors.naming import as_uuid, slug_of
from tenantry.errors import ConfigurationError, InvalidKey
from tenantry.packs.helpdesk.pack import MIGRATIONS, Helpdesk
from tenantry.settings import config_from_env, login_urls_from_env, url_from_env
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, TenantKey

# The kind of identity under which a company is found: its name and its platform together.
COMPANY: Final = "helpdesk_company"

_STRICT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_RESERVED: Final = frozenset({"admin", "catalog", "default", "main", "none", "null", "platform", "public", "system"})
_LONGEST_PLATFORM: Final = 50
_ISOLATIONS: Final = {
    "company": Isolation.ROWS,
    "row": Isolation.ROWS,
    "rows": Isolation.ROWS,
    "schema": Isolation.SCHEMA,
    "database": Isolation.DATABASE,
}
_DEFAULTS: Final = {"POSTGRES_DB": "freshdesk_app", "SQLITE_DATA_DIR": "./core/data"}


class Validation(enum.StrEnum):
    """How a company's name is judged: as a plain name, as any text that can be kept, or not at all beyond that."""

    STRICT = "strict"
    LENIENT = "lenient"
    OFF = "off"


class DatabaseType(enum.StrEnum):
    """The two databases."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpdeskSettings:
    """What the environment says of a helpdesk beside what it says of any tenancy.

    Raises: ConfigurationError for a value that is none.
    """

    use_orm: bool = True
    database_type: DatabaseType = DatabaseType.SQLITE
    sqlite_data_dir: str = _DEFAULTS["SQLITE_DATA_DIR"]
    tenant_id_validation: Validation = Validation.STRICT
    isolation: Isolation | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> HelpdeskSettings:
        """Returns the settings that the environment describes: USE_ORM, DATABASE_TYPE, TENANT_ISOLATION and so on.

        Raises: ConfigurationError.
        """
        env = os.environ if environ is None else environ
        return cls(
            use_orm=_switch("USE_ORM", env.get("USE_ORM", "true")),
            database_type=_one_of(DatabaseType, "DATABASE_TYPE", env.get("DATABASE_TYPE", DatabaseType.SQLITE)),
            sqlite_data_dir=env.get("SQLITE_DATA_DIR") or _DEFAULTS["SQLITE_DATA_DIR"],
            tenant_id_validation=_one_of(
                Validation, "TENANT_ID_VALIDATION", env.get("TENANT_ID_VALIDATION", Validation.STRICT)
            ),
            isolation=_isolation(env.get("TENANT_ISOLATION")),
        )


def tenancy_from_env(models: Any, environ: Mapping[str, str] | None = None) -> Tenancy:
    """Returns the tenancy that the environment describes, with the helpdesk's history; on SQLite it is installed.

    DATABASE_TYPE chooses between the POSTGRES_* parts and SQLITE_DATA_DIR where no URL is given; where that is
    PostgreSQL and SQLITE_DATA_DIR is set too, the directory is a second server, ``sqlite``.

    Raises: ConfigurationError.
    """
    env = dict(os.environ if environ is None else environ)
    settings = HelpdeskSettings.from_env(env)
    config = config_from_env(env)
    if config.migrations is None:
        config = dataclasses.replace(config, migrations=MIGRATIONS)
    logins: dict[str, Any] = {**login_urls_from_env(env)}
    tenancy = Tenancy(_url(env, settings), models, config=config, **logins)
    if tenancy.servers.main.kind == DatabaseType.POSTGRESQL:
        if env.get("SQLITE_DATA_DIR"):
            tenancy.servers.add(DatabaseType.SQLITE, f"sqlite:///{env['SQLITE_DATA_DIR']}")
    else:
        # A directory of files needs nobody's leave; a server's roles are made by who runs it.
        Helpdesk(tenancy)
        tenancy.install(create_tables=True)
    return tenancy


def company_key(tenant_id: Any, platform: str | None = None) -> TenantKey:
    """Returns the key that finds a company by its name on a platform, or by its id.

    Raises: InvalidKey for a name that TENANT_ID_VALIDATION does not let pass, or no platform.
    """
    found = as_uuid(tenant_id)
    if found is not None:
        return found
    check_company(tenant_id, platform)
    return COMPANY, identity_value(tenant_id, platform)


def check_company(tenant_id: Any, platform: str | None, *, mode: Validation | None = None) -> None:
    """Lets the name of a company on a platform pass; by default TENANT_ID_VALIDATION says how it is judged.

    Raises: InvalidKey.
    """
    chosen = mode or HelpdeskSettings.from_env().tenant_id_validation
    for what, text, longest in (("platform", platform, _LONGEST_PLATFORM), ("company's name", tenant_id, 255)):
        if not isinstance(text, str) or not text or len(text) > longest:
            raise InvalidKey(reason=f"a {what} is a text of 1 to {longest} characters.")
        if chosen is Validation.STRICT and not _STRICT.fullmatch(text):
            raise InvalidKey(reason=f"a {what} has letters, digits and . _ - within, up to 100 of them.")
        if chosen is not Validation.OFF and (text.strip() != text or not text.isprintable()):
            raise InvalidKey(reason=f"a {what} is printable and has no blanks around it.")
    if chosen is Validation.STRICT and str(tenant_id).lower() in _RESERVED:
        raise InvalidKey(reason=f"{tenant_id!r} is a word that the library itself uses.")


def company_slug(name: str, platform: str) -> str:
    """Returns the slug of a company: one that resembles its name, and that no other name on any platform has."""
    digest = hashlib.sha256(identity_value(name, platform).encode()).hexdigest()[:8]
    return f"{slug_of(name)[:40].strip('-')}-{digest}"


def _url(env: dict[str, str], settings: HelpdeskSettings) -> str:
    if settings.database_type is DatabaseType.SQLITE:
        chosen = {name: value for name, value in env.items() if not name.startswith("POSTGRES_")}
    else:
        chosen = {"DATABASE_TYPE": DatabaseType.POSTGRESQL.value, **env}
        chosen.pop("SQLITE_DATA_DIR", None)
        return _postgres_url(chosen)
    return url_from_env({**_DEFAULTS, **chosen})


def _postgres_url(env: dict[str, str]) -> str:
    try:
        return url_from_env({"POSTGRES_DB": _DEFAULTS["POSTGRES_DB"], **env})
    except ConfigurationError as error:
        raise ConfigurationError(
            what="DATABASE_TYPE is postgresql, and the environment does not say how to log in.",
            fix="Set POSTGRES_PASSWORD (and POSTGRES_HOST, _PORT, _DB, _USER where they differ), or TENANTRY_URL.",
        ) from error


def _switch(variable: str, text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.strip().lower() not in words:
        raise ConfigurationError(what=f"{variable}={text!r} is neither true nor false.", fix="Write true or false.")
    return words[text.strip().lower()]


def _one_of(words: Any, variable: str, text: str) -> Any:
    lowered = text.strip().lower()
    if lowered not in {str(word) for word in words}:
        listed = ", ".join(words)
        raise ConfigurationError(what=f"{variable}={text!r} is not one of: {listed}.", fix="Write one of these.")
    return words(lowered)


def _isolation(text: str | None) -> Isolation | None:
    if not text:
        return None
    if text.strip().lower() not in _ISOLATIONS:
        listed = ", ".join(_ISOLATIONS)
        raise ConfigurationError(
            what=f"TENANT_ISOLATION={text!r} is not one of: {listed}.", fix="Write one of these, or leave it out."
        )
    return _ISOLATIONS[text.strip().lower()]
