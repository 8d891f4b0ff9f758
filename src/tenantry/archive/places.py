"""The doors to a tenant's rows, wherever they stand: one reads a consistent snapshot, one writes in one transaction.

A place is given as a ``Tenant``: server, isolation, physical name and id; the catalog is not asked.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from tenantry.archive.place_postgres import postgres_reading, postgres_writing
from tenantry.archive.place_sqlite import sqlite_reading, sqlite_writing
from tenantry.archive.places_base import Key, Reader, Writer
from tenantry.archive.refusing import unfit
from tenantry.archive.shapes import TableShape
from tenantry.archive.unlisted import unlisted
from tenantry.isolation.servers import Server
from tenantry.isolation.sqlite import SqliteServer
from tenantry.tenancy import Tenancy
from tenantry.types import Tenant

__all__ = ["Key", "Reader", "Writer", "reading", "unlisted", "writing"]


@contextlib.contextmanager
def reading(
    tenancy: Tenancy,
    tenant: Tenant,
    *,
    shapes: Sequence[TableShape] | None = None,
    as_tenant: uuid.UUID | None = None,
    login: str | None = None,
    within: Connection | None = None,
) -> Iterator[Reader]:
    """Opens one consistent view of a tenant's rows, for a ``with`` block; others go on writing.

    Args:
        shapes: what is read; without it every table and column of the models' that stands.
        as_tenant: the id that rows show where they point at the tenant itself.
        login: ``"operator"`` or ``"owner"``, where it should not be the operator's if there is one.
        within: a transaction to read in, instead of a snapshot of one's own.

    Raises: BackupFiltered for a role that does not see every row; PlaceUnfit, LoginRequired.
    """
    server, spelled = tenancy.servers.get(tenant.server), as_tenant or tenant.id
    if isinstance(server, SqliteServer):
        with sqlite_reading(server, tenant, wanted=shapes, spelled=spelled, within=within) as reader:
            yield reader
        return
    with postgres_reading(server, tenant, wanted=shapes, spelled=spelled, login=login, within=within) as found:
        yield found


@contextlib.contextmanager
def writing(
    tenancy: Tenancy,
    tenant: Tenant,
    *,
    shapes: Sequence[TableShape] | None = None,
    as_tenant: uuid.UUID | None = None,
    within: Connection | None = None,
) -> Iterator[Writer]:
    """Opens a transaction that writes a tenant's rows, for a ``with`` block; it commits on leaving.

    Args:
        shapes: what is written; without it every table and column of the models' that stands.
        as_tenant: the id that rows show where they point at the tenant itself, and that becomes this tenant's.
        within: a transaction to write in, which its owner commits.

    Raises: BackupFiltered for a role that the walls hold; PlaceUnfit, LoginRequired.
    """
    server, spelled = tenancy.servers.get(tenant.server), as_tenant or tenant.id
    written = False
    try:
        with _writer(server, tenant, wanted=shapes, spelled=spelled, within=within) as writer:
            yield writer
            written = True
    except IntegrityError as error:
        if not written:
            raise
        # Some references are looked at with the commit.
        fix = "Give it all rows of the tenant, or remove the reference."
        raise unfit(tenant, "Some rows refer to others that are not among them.", fix=fix) from error


def _writer(
    server: Server,
    tenant: Tenant,
    *,
    wanted: Sequence[TableShape] | None,
    spelled: uuid.UUID,
    within: Connection | None,
) -> contextlib.AbstractContextManager[Writer]:
    if isinstance(server, SqliteServer):
        return sqlite_writing(server, tenant, wanted=wanted, spelled=spelled, within=within)
    return postgres_writing(server, tenant, wanted=wanted, spelled=spelled, within=within)
