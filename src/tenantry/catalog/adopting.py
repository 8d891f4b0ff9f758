"""What the catalog records of data that existed before: tenants found in it, and how far their adoption has come."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from tenantry.catalog.holder import LEASE_SECONDS, has_let_go, this_process
from tenantry.catalog.resting import check_rested
from tenantry.catalog.tables import identities, journal, now, placements, tenants
from tenantry.errors import IdentityTaken, TenantExists, TenantLimitReached
from tenantry.ids import SLUG_KIND
from tenantry.types import Tenant, TenantStatus

KIND: Final = "adopt"
RUNNING: Final = "running"
RESTING: Final = "resting"
FAILED: Final = "failed"
DONE: Final = "done"


@dataclass(frozen=True, slots=True)
class Entry:
    """One adoption as the journal knows it: the last stage that was reached whole, and what happens now."""

    id: uuid.UUID
    stage: str
    state: str
    detail: Mapping[str, Any]


def register(
    connection: Connection,
    found: Sequence[tuple[Tenant, Sequence[tuple[str, str]]]],
    *,
    ceiling: int | None,
) -> None:
    """Records tenants whose rows exist already, each with the outside names that find it.

    No creation is noted for them, so nothing that clears away half-made tenants ever comes near their data.

    Raises: TenantLimitReached, TenantExists, IdentityTaken.
    """
    alive = select(func.count()).select_from(tenants).where(tenants.c.status != TenantStatus.ERASED)
    if ceiling is not None and connection.execute(alive).scalar_one() + len(found) > ceiling:
        raise TenantLimitReached(limit=ceiling)
    for tenant, names in found:
        _insert(connection, tenant)
        for kind, value in names:
            _name(connection, tenant, kind, value)
        check_rested(connection, tenant.id, [(SLUG_KIND, tenant.slug), *names])


def found_by(connection: Connection, kind: str, values: Collection[str]) -> dict[str, tuple[uuid.UUID, TenantStatus]]:
    """Returns the tenants that outside names of one kind find already, with their status."""
    named = and_(identities.c.kind == kind, identities.c.value.in_(values))
    question = select(identities.c.value, tenants.c.id, tenants.c.status).join(tenants)
    return {
        value: (tenant, TenantStatus(status)) for value, tenant, status in connection.execute(question.where(named))
    }


def taken_slugs(connection: Connection, slugs: Collection[str]) -> set[str]:
    """Returns those of *slugs* that tenants bear."""
    return set(connection.scalars(select(tenants.c.slug).where(tenants.c.slug.in_(slugs))))


def tenants_at(connection: Connection, server: str, physical: str) -> list[str]:
    """Returns the slugs of the tenants that live under a physical name."""
    here = and_(placements.c.server == server, placements.c.physical == physical)
    return list(connection.scalars(select(tenants.c.slug).join(placements).where(here)))


def set_status(
    connection: Connection, chosen: Collection[uuid.UUID], *, seen: TenantStatus, wanted: TenantStatus
) -> int:
    """Takes every one of the tenants that is *seen* to *wanted*, and returns how many there were."""
    rows = and_(tenants.c.id.in_(chosen), tenants.c.status == seen)
    return connection.execute(update(tenants).where(rows).values(status=wanted)).rowcount


def move_placement(connection: Connection, tenant: uuid.UUID, physical: str) -> None:
    """Records that the rows of a tenant stand elsewhere on its server now."""
    connection.execute(update(placements).where(placements.c.tenant_id == tenant).values(physical=physical))


def forget(connection: Connection, chosen: Collection[uuid.UUID]) -> None:
    """Removes tenants as if they had never been registered; what they own stays where it is."""
    for table in (identities, placements):
        connection.execute(delete(table).where(table.c.tenant_id.in_(chosen)))
    connection.execute(delete(tenants).where(tenants.c.id.in_(chosen)))


def entry(connection: Connection, adoption: uuid.UUID) -> Entry | None:
    """Returns what the journal says of an adoption."""
    row = connection.execute(select(journal).where(_is(adoption))).one_or_none()
    return None if row is None else Entry(row.id, row.step, row.state, row.detail)


def take(connection: Connection, adoption: uuid.UUID, *, stage: str) -> bool:
    """Takes an adoption in hand, or begins it at *stage*; False while somebody else has it."""
    row = connection.execute(select(journal).where(_is(adoption))).one_or_none()
    if row is None:
        begun = {"id": adoption, "kind": KIND, "tenant_id": adoption, "step": stage, "detail": {}}
        connection.execute(insert(journal).values(**begun, state=RUNNING, **_held()))
        return True
    if row.state == RUNNING and not has_let_go(row.holder, expired=row.lease_until < now()):
        return False
    taken = update(journal).where(_is(adoption), journal.c.holder == row.holder, journal.c.state == row.state)
    return bool(connection.execute(taken.values(state=RUNNING, **_held())).rowcount)


def note(connection: Connection, adoption: uuid.UUID, *, state: str = RUNNING, **facts: Any) -> bool:
    """Records a step of an adoption in hand and holds it longer; False when another has taken it meanwhile.

    *facts* are ``stage`` and ``detail``.
    """
    columns = {"step" if name == "stage" else name: value for name, value in facts.items()}
    mine = update(journal).where(_is(adoption), journal.c.holder == this_process(), journal.c.state == RUNNING)
    return bool(connection.execute(mine.values(state=state, **columns, **_held())).rowcount)


def drop_entry(connection: Connection, adoption: uuid.UUID) -> None:
    """Removes an adoption that was rolled back to its beginning."""
    connection.execute(delete(journal).where(_is(adoption)))


def _insert(connection: Connection, tenant: Tenant) -> None:
    known = {"id": tenant.id, "slug": tenant.slug, "name": tenant.name, "status": tenant.status, "epoch": tenant.epoch}
    try:
        connection.execute(insert(tenants).values(**known, settings=dict(tenant.settings)))
    except IntegrityError as error:
        raise TenantExists(slug=tenant.slug) from error
    place = {"server": tenant.server, "isolation": tenant.isolation, "physical": tenant.physical}
    connection.execute(insert(placements).values(tenant_id=tenant.id, epoch=tenant.epoch, **place))


def _name(connection: Connection, tenant: Tenant, kind: str, value: str) -> None:
    try:
        connection.execute(insert(identities).values(kind=kind, value=value, tenant_id=tenant.id))
    except IntegrityError as error:
        raise IdentityTaken(kind=kind, value=value) from error


def _is(adoption: uuid.UUID) -> Any:
    return and_(journal.c.id == adoption, journal.c.kind == KIND)


def _held() -> dict[str, Any]:
    return {"holder": this_process(), "lease_until": now() + datetime.timedelta(seconds=LEASE_SECONDS)}
