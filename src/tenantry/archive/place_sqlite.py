"""The transaction in an SQLite file in which a tenant's rows are read or written."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from tenantry.archive.refusing import unfit
from tenantry.archive.rows_sqlite import File, SqlitePlace
from tenantry.archive.shapes import TableShape, shapes
from tenantry.archive.standing import lacking, met
from tenantry.archive.standing_sqlite import on_sqlite
from tenantry.isolation.binding import READ_ONLY_OPTION, UNBOUND
from tenantry.isolation.hooks import bound
from tenantry.isolation.sqlite import COMMON, SqliteServer
from tenantry.isolation.sqlite_stored import STORED_SUFFIX
from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.types import Isolation, Tenant


@contextlib.contextmanager
def sqlite_reading(
    server: SqliteServer,
    tenant: Tenant,
    *,
    wanted: Sequence[TableShape] | None,
    spelled: uuid.UUID,
    within: Connection | None,
) -> Iterator[SqlitePlace]:
    """Opens a snapshot of a tenant's rows; writers go on beside it.

    Raises: PlaceUnfit.
    """
    with opened(server, tenant, within, read_only=True) as connection:
        place = _place(server, tenant, connection, wanted=wanted, spelled=spelled)
        place.revision = _revision(connection)
        with contextlib.closing(place):
            yield place


@contextlib.contextmanager
def sqlite_writing(
    server: SqliteServer,
    tenant: Tenant,
    *,
    wanted: Sequence[TableShape] | None,
    spelled: uuid.UUID,
    within: Connection | None,
) -> Iterator[SqlitePlace]:
    """Opens a transaction that writes a tenant's rows.

    Raises: PlaceUnfit.
    """
    with opened(server, tenant, within, read_only=False) as connection:
        # Until the commit: rows may refer to such as are still to come.
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        with contextlib.closing(_place(server, tenant, connection, wanted=wanted, spelled=spelled)) as place:
            yield place


def file_of(tenant: Tenant) -> str:
    """Returns the name of the file in which a tenant's rows stand, in its server's directory."""
    return COMMON if tenant.isolation is Isolation.ROWS else tenant.physical


@contextlib.contextmanager
def opened(server: SqliteServer, tenant: Tenant, within: Connection | None, *, read_only: bool) -> Iterator[Connection]:
    """Opens a transaction of the library's own in the file in which a tenant's rows stand.

    Raises: PlaceUnfit where there is none.
    """
    if within is not None:
        yield within
        return
    name = file_of(tenant)
    if not server.file(name).exists():
        raise unfit(tenant, f"There is no file {name}.")
    engine = server.library_engine(name, bounded=name != COMMON)
    with bound(engine.execution_options(**{READ_ONLY_OPTION: read_only}), UNBOUND) as connection:
        yield connection


def _place(
    server: SqliteServer,
    tenant: Tenant,
    connection: Connection,
    *,
    wanted: Sequence[TableShape] | None,
    spelled: uuid.UUID,
) -> SqlitePlace:
    suffix = STORED_SUFFIX if tenant.isolation is Isolation.ROWS else ""
    standing = on_sqlite(connection, suffix=suffix)
    file = File(connection, server.metadata, suffix)
    if wanted is None and not standing:
        raise unfit(tenant, f"No table of the models stands in {file_of(tenant)}.")
    missing = lacking(wanted or (), standing)
    if missing:
        raise unfit(tenant, f"It has no {', '.join(missing)}.")
    tables = met(shapes(server.metadata), standing, exact=False) if wanted is None else tuple(wanted)
    return SqlitePlace(file, tenant, tables, spelled=spelled)


def _revision(connection: Connection) -> str | None:
    stands = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)).scalar()
    if stands is None:
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE} ORDER BY 1").scalars()
    return ",".join(found) or None
