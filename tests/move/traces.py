"""What there is of a tenant anywhere, by asking every database itself."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from tenantry.catalog.tables import placements
from tenantry.ids import physical_file, physical_name
from tenantry.isolation.sqlite_stored import STORED_SUFFIX
from tenantry.models import Ownership, owned_tables

from .grounds import Ground

_NOTES = "select 1 from pg_trigger where tgname like %(triggers)s"
_FENCE = "select 1 from tenantry_move.fences where tenant_id = %(tenant)s and state <> 'departed'"
_CHANGES = "select 1 from tenantry_move.changes where tenant_id = %(tenant)s"


def traces(ground: Ground, slug: str) -> set[str]:
    """Returns where there is something of a tenant: places with rows of it, and what a fence has left."""
    tenant = ground.tenancy.tenants.get(slug)
    return {*_on_postgres(ground, tenant), *_on_sqlite(ground, tenant)}


def check_no_traces(ground: Ground, slug: str, *, but: str) -> None:
    """There is nothing of a tenant but where it lives, and no move of it in hand."""
    assert traces(ground, slug) == {but}
    assert ground.move.status(slug) == []
    tenant = ground.tenancy.tenants.get(slug)
    with ground.tenancy.catalog("Looking for traces") as connection:
        found = connection.scalars(select(placements.c.epoch).where(placements.c.tenant_id == tenant.id)).all()
    assert found == [tenant.epoch]


def _on_postgres(ground: Ground, tenant: Any) -> Iterator[str]:
    for database, prefix in ((ground.main, ""), (ground.east, "other ")):
        with ground.postgres.admin(database) as connection:
            asked = {"tenant": tenant.id, "name": physical_name(tenant.id), "triggers": f"%{tenant.id.hex}%"}
            yield from _in_database(ground, connection, asked, prefix)
    if _has_database(ground, tenant):
        yield "database"


def _in_database(ground: Ground, connection: Any, asked: dict[str, Any], prefix: str) -> Iterator[str]:
    if any(
        connection.execute(
            f'select 1 from public."{table.name}" where tenant_id = %(tenant)s limit 1', asked
        ).fetchone()
        for table in _walled(ground)
    ):
        yield f"{prefix}rows"
    if connection.execute("select 1 from pg_namespace where nspname = %(name)s", asked).fetchone():
        yield f"{prefix}schema"
    if connection.execute(_NOTES, asked).fetchone():
        yield f"{prefix}triggers"
    if connection.execute("select to_regclass('tenantry_move.fences')").fetchone()[0]:
        for what, question in (("fence", _FENCE), ("changes", _CHANGES)):
            if connection.execute(question, asked).fetchone():
                yield f"{prefix}{what}"


def _has_database(ground: Ground, tenant: Any) -> bool:
    question = "select 1 from pg_database where datname = %s"
    with ground.postgres.admin() as connection:
        return connection.execute(question, (physical_name(tenant.id),)).fetchone() is not None


def _on_sqlite(ground: Ground, tenant: Any) -> Iterator[str]:
    directory = Path(ground.urls["disk"].removeprefix("sqlite:///"))
    file = directory / physical_file(tenant.id)
    if file.exists():
        yield "file"
    elif file.parent.exists() and list(file.parent.glob(f"*{tenant.id.hex}*")):
        yield "pieces of a file"
    for path, where in ((directory / "common.sqlite3", "common "), (file, "file's ")):
        if path.exists():
            with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                yield from _in_file(ground, connection, tenant, where)


def _in_file(ground: Ground, connection: sqlite3.Connection, tenant: Any, where: str) -> Iterator[str]:
    if where == "common " and any(
        connection.execute(
            f'SELECT 1 FROM "{table.name}{STORED_SUFFIX}" WHERE tenant_id = ?', (tenant.id.hex,)
        ).fetchone()
        for table in _walled(ground)
    ):
        yield "common file"
    question = "SELECT count(*) FROM sqlite_master WHERE name = ? OR (type = 'trigger' AND name LIKE ?)"
    stands, triggers = (
        connection.execute(question, given).fetchone()[0]
        for given in (("tenantry_fence", ""), ("", f"%{tenant.id.hex}%"))
    )
    if triggers:
        yield f"{where}triggers"
    if (
        stands
        and connection.execute(
            "SELECT 1 FROM tenantry_fence WHERE tenant_id = ? AND NOT departed", (tenant.id.hex,)
        ).fetchone()
    ):
        yield f"{where}fence"


def _walled(ground: Ground) -> Any:
    return owned_tables(ground.tenancy.metadata, Ownership.TENANT, Ownership.RECORD)
