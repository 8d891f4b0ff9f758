"""What ``tenantry tenants show`` says beyond the catalog: rows, size, revision, backups, what runs, locks."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from tenantry.catalog.archives import listing
from tenantry.cli.showing import as_data
from tenantry.errors import TenantryError
from tenantry.fleet.homes import common_homes, home_of
from tenantry.fleet.owners import Owners
from tenantry.fleet.reading import read_revisions
from tenantry.isolation.postgres import PostgresServer
from tenantry.observe.activity import locks, running
from tenantry.observe.health import Health
from tenantry.observe.tracking import SLOW_SECONDS
from tenantry.tenancy import Tenancy
from tenantry.types import Tenant, TenantStatus

try:
    from psycopg import Error as PsycopgError
except ImportError:  # there is no PostgreSQL then
    PsycopgError = sqlite3.Error  # type: ignore[assignment,misc]

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")
_STEP: Final = 1024
# How many of those that were slow are shown.
_LATELY: Final = 5


def portrait(tenancy: Tenancy, tenant: Tenant) -> dict[str, Any]:
    """Returns what can be seen of a tenant; in place of what cannot, why."""
    looks: Mapping[str, Callable[[Tenancy, Tenant], Any]] = {
        "revision": _revision,
        "backup": _backup,
        "size": _size,
        "rows": _rows,
        "slow": _slow,
        "slow_lately": _slow_lately,
        "locks": _locks,
    }
    return {name: _seen(look, tenancy, tenant) for name, look in looks.items()}


def in_words(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the same for people."""
    return [(name, _words(name, value)) for name, value in found.items()]


def _seen(look: Callable[[Tenancy, Tenant], Any], tenancy: Tenancy, tenant: Tenant) -> Any:
    try:
        return look(tenancy, tenant)
    except TenantryError as error:
        return {"unseen": str(error)}
    except (SQLAlchemyError, PsycopgError, sqlite3.Error, OSError) as error:
        # A driver's words may quote what it was given.
        return {"unseen": f"The database refused: {type(getattr(error, 'orig', None) or error).__name__}."}


def _revision(tenancy: Tenancy, tenant: Tenant) -> str | None:
    server = tenancy.servers.get(tenant.server)
    home = home_of(tenant, server) or common_homes(server)[-1]
    return read_revisions(tenancy, [home], Owners())[home]


def _backup(tenancy: Tenancy, tenant: Tenant) -> Mapping[str, Any] | None:
    with tenancy.catalog("Showing a tenant's archives") as connection:
        proved = [each for each in listing(connection, tenant=tenant.id) if each.verified_at]
    if not proved:
        return None
    newest = proved[0]
    return {"name": newest.name, "store": newest.store, "taken_at": newest.taken_at, "verified_at": newest.verified_at}


def _size(tenancy: Tenancy, tenant: Tenant) -> Mapping[str, Any]:
    found = Health(tenancy).measure(tenant.id, tables=[])
    return {"bytes": found.size, "of": found.of}


def _rows(tenancy: Tenancy, tenant: Tenant) -> Mapping[str, int]:
    return Health(tenancy).measure(tenant.id).rows


def _slow(tenancy: Tenancy, tenant: Tenant) -> list[Mapping[str, Any]]:
    server = tenancy.servers.get(tenant.server)
    if not isinstance(server, PostgresServer) or tenant.status is not TenantStatus.ACTIVE:
        return []
    found = [one for one in running(server) if one.tenant == tenant.id and one.seconds >= SLOW_SECONDS]
    return [{"pid": one.pid, "state": one.state, "seconds": one.seconds, "statement": one.statement} for one in found]


def _slow_lately(tenancy: Tenancy, tenant: Tenant) -> list[Mapping[str, Any]] | None:
    log = tenancy.watcher and tenancy.watcher.slow_log
    return [as_data(one) for one in log.of(tenant.id, limit=_LATELY)] if log else None


def _locks(tenancy: Tenancy, tenant: Tenant) -> list[Mapping[str, Any]]:
    with tenancy.session(tenant.id, read_only=True) as session:
        found = locks(session)
    return [{"table": one.table, "mode": one.mode, "granted": one.granted, "count": one.count} for one in found]


def _words(name: str, value: Any) -> str:
    if isinstance(value, dict) and "unseen" in value:
        return f"not seen: {value['unseen']}"
    if name == "size":
        return f"{_readable(value['bytes'])} ({value['of']})"
    if name == "rows":
        return ", ".join(f"{table} {count}" for table, count in value.items()) or "no tables known"
    if name == "backup" and value:
        return f"{value['name']} of {value['taken_at']:%Y-%m-%d %H:%M}, verified {value['verified_at']:%Y-%m-%d %H:%M}"
    if name == "backup":
        return "none that was verified"
    if name == "slow":
        return "; ".join(f"{one['seconds']:.1f} s {one['state']}: {one['statement']}" for one in value) or "nothing now"
    if name == "slow_lately":
        return (
            "; ".join(map(_late, value)) or "nothing" if value is not None else "not kept: SlowLog(observer) keeps it"
        )
    if name == "locks":
        return "; ".join(map(_lock, value)) or "none"
    return str(value or "none")


def _late(one: Mapping[str, Any]) -> str:
    at = datetime.datetime.fromtimestamp(one["at"], datetime.UTC)
    return f"{one['seconds']:.1f} s {one['kind']} at {at:%Y-%m-%d %H:%M}: {one['statement']}"


def _lock(one: Mapping[str, Any]) -> str:
    return f"{one['table']} {one['mode']}{'' if one['granted'] else ' (waiting)'}"


def _readable(size: int | None) -> str:
    if size is None:
        return "not known"
    power = next((power for power in range(len(_UNITS)) if size < _STEP ** (power + 1)), len(_UNITS) - 1)
    return f"{size / _STEP**power:.4g} {_UNITS[power]}"
