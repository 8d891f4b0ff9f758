"""The archives that were written, as the catalog has them: where each is, how large, and when it was last proved."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from tenantry.catalog.tables import archives, now

WHOLE: Final = "whole"
DAMAGED: Final = "damaged"
LEAVING: Final = "leaving"
STANDING: Final = frozenset({WHOLE, DAMAGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """One archive of one tenant: *name* finds it in *store*, which is said without a password."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    store: str
    name: str
    taken_at: datetime.datetime
    size: int
    rows: int
    revision: str | None = None
    # The data key it is encrypted under; None when it is only signed.
    key_id: uuid.UUID | None = None
    state: str = WHOLE
    verified_at: datetime.datetime | None = None
    error: str | None = None
    pinned: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)


_COLUMNS: Final = tuple(archives.c[each.name] for each in fields(Archived))


def enter(connection: Connection, archived: Archived) -> None:
    """Records an archive that was written whole; recording it again brings the record to what is given."""
    facts = {each.name: getattr(archived, each.name) for each in fields(Archived)}
    facts["detail"] = dict(archived.detail)
    same = and_(archives.c.store == archived.store, archives.c.name == archived.name)
    known = {name: value for name, value in facts.items() if name != "id"}
    if not connection.execute(update(archives).where(same).values(**known)).rowcount:
        connection.execute(insert(archives).values(**facts))


def listing(
    connection: Connection,
    *,
    tenant: uuid.UUID | None = None,
    store: str | None = None,
    states: Collection[str] = STANDING,
) -> list[Archived]:
    """Returns the archives of a tenant, of a store, or of both, the newest first."""
    wanted: list[ColumnElement[bool]] = [archives.c.state.in_(states)]
    if tenant is not None:
        wanted.append(archives.c.tenant_id == tenant)
    if store is not None:
        wanted.append(archives.c.store == store)
    newest = select(*_COLUMNS).where(*wanted).order_by(archives.c.taken_at.desc(), archives.c.id.desc())
    return [Archived(**row._mapping) for row in connection.execute(newest)]


def find(connection: Connection, store: str, name: str) -> Archived | None:
    """Returns the archive of that name, or None where no record of it is kept."""
    row = connection.execute(select(*_COLUMNS).where(archives.c.store == store, archives.c.name == name)).one_or_none()
    return None if row is None else Archived(**row._mapping)


def note_verified(connection: Connection, archive: uuid.UUID) -> None:
    """Records that an archive was restored beside the tenant just now, and was equal to what it says it holds."""
    proved = {"state": WHOLE, "verified_at": now(), "error": None}
    connection.execute(update(archives).where(archives.c.id == archive).values(**proved))


def note_damaged(connection: Connection, archive: uuid.UUID, error: str) -> None:
    """Records why an archive is not what it should be."""
    connection.execute(update(archives).where(archives.c.id == archive).values(state=DAMAGED, error=error))


def pin(connection: Connection, archive: uuid.UUID, *, pinned: bool = True) -> None:
    """Keeps an archive whatever the retention says, or gives it back to the retention."""
    connection.execute(update(archives).where(archives.c.id == archive).values(pinned=pinned))


def withdraw(connection: Connection, archive: uuid.UUID) -> None:
    """Notes that an archive is about to be deleted from its store: from now on nobody restores it."""
    connection.execute(update(archives).where(archives.c.id == archive).values(state=LEAVING))


def forget(connection: Connection, archive: uuid.UUID) -> None:
    """Strikes an archive that is gone off the list."""
    connection.execute(delete(archives).where(archives.c.id == archive))
