"""What a PostgreSQL login is, and whether the walls hold for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

_LOGIN_QUESTION: Final = """
select current_user as login, r.rolsuper, r.rolbypassrls,
       not exists(select 1 from pg_class c where c.relnamespace = to_regnamespace(:common) and c.relname = any(:walled)
                  and c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)) as walled,
       exists(select 1 from pg_class c join pg_policy p on p.polrelid = c.oid
              where p.polname = 'tenantry_isolation' and pg_has_role(r.oid, c.relowner, 'USAGE')) as owns,
       coalesce(current_setting('tenantry.embedded', true), '') = 'on' as embedded
from pg_roles r where r.rolname = current_user
"""


@dataclass(frozen=True, slots=True)
class LoginFound:
    """A login: why no wall holds for it, if none does, whether all tables are walled, and whose server this is."""

    name: str
    unsafe: str | None
    walled: bool
    embedded: bool


def look_at_login(connection: Connection, common_schema: str, tables: list[str]) -> LoginFound:
    """Returns what the login of *connection* is to the walls of *tables*."""
    row = connection.execute(text(_LOGIN_QUESTION), {"common": common_schema, "walled": tables}).one()
    return LoginFound(row.login, _unsafe(row), row.walled, row.embedded)


def _unsafe(row: Any) -> str | None:
    if row.rolsuper:
        return "is a superuser"
    if row.rolbypassrls:
        return "has BYPASSRLS"
    return "owns the tenants' tables" if row.owns else None
