"""The log of erasures: who is gone, known by digests under a key, so that a restore forgets the same people again."""

from __future__ import annotations

import datetime
import hmac
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, insert, select, update

from tenantry.archive.forgetting import Forgetting
from tenantry.archive.keys import KeyRing
from tenantry.archive.persons import Naming, Person, distinct, folded, names_in
from tenantry.audit.core import Audit
from tenantry.audit.restoring import audits_of
from tenantry.catalog.tables import erasures
from tenantry.errors import ErasureKeyMissing, TenantWasErased
from tenantry.isolation.purging import Purge
from tenantry.models import Ownership, owned_tables
from tenantry.models.behaviours import BEHAVIOUR
from tenantry.tenancy import Tenancy

RUNNING: Final = "running"
DONE: Final = "done"

_ACTION: Final = "Reading the log of erasures"
_PURPOSE: Final = "erased person"
# Where the tables that the library adds keep somebody's name as it is.
_NAMING: Final = frozenset({"actor", "impersonator", "user_id", "activated_by", "deactivated_by"})


@dataclass(frozen=True, slots=True)
class Erasure:
    """One line of the log; *subject* holds a digest for each name of a person, or is empty for a whole tenant."""

    id: uuid.UUID
    tenant: uuid.UUID
    subject: tuple[str, ...]
    keyed_by: str | None
    state: str
    certificate: Mapping[str, Any] | None
    created_at: datetime.datetime


def subject_of(ring: KeyRing, tenant: uuid.UUID, person: Person) -> tuple[str, ...]:
    """Returns the digests of a person's names under the ring's current key."""
    key = ring.derived(ring.current, purpose=_PURPOSE)
    return tuple(sorted(_digest(key, tenant, name) for name in person.names))


def naming_of(ring: KeyRing, erasure: Erasure) -> Naming:
    """Returns what tells whether a value is a name of the person that was erased.

    Raises: ErasureKeyMissing.
    """
    if erasure.keyed_by is None or erasure.keyed_by not in ring:
        raise ErasureKeyMissing(tenant=erasure.tenant, key=erasure.keyed_by)
    key = ring.derived(erasure.keyed_by, purpose=_PURPOSE)
    return lambda value: _digest(key, erasure.tenant, value) in erasure.subject


def enter(connection: Connection, erasure: uuid.UUID, tenant: uuid.UUID, *, subject: Sequence[str], key: str) -> None:
    """Notes that an erase begins; from here on no restore brings back what it is of. Noting it again is well."""
    if connection.execute(select(erasures.c.id).where(erasures.c.id == erasure)).first() is None:
        who = {"subject": " ".join(subject), "keyed_by": key} if subject else {}
        connection.execute(insert(erasures).values(id=erasure, tenant_id=tenant, state=RUNNING, **who))


def close(connection: Connection, erasure: uuid.UUID, certificate: Mapping[str, Any]) -> None:
    """Keeps the certificate of an erase that has come to its end."""
    done = {"state": DONE, "certificate": dict(certificate)}
    connection.execute(update(erasures).where(erasures.c.id == erasure).values(**done))


def withdraw(connection: Connection, erasure: uuid.UUID) -> None:
    """Strikes an erase that changed nothing off the log."""
    connection.execute(delete(erasures).where(erasures.c.id == erasure))


def listing(connection: Connection, tenant: uuid.UUID | None = None) -> list[Erasure]:
    """Returns the log of one tenant, or of all, the newest first."""
    wanted = erasures.c.tenant_id == tenant if tenant is not None else True
    newest = select(erasures).where(wanted).order_by(erasures.c.created_at.desc(), erasures.c.id.desc())  # type: ignore[arg-type]  # a bool is a condition too
    return [
        Erasure(
            id=row.id,
            tenant=row.tenant_id,
            subject=tuple((row.subject or "").split()),
            keyed_by=row.keyed_by,
            state=row.state,
            certificate=row.certificate,
            created_at=row.created_at,
        )
        for row in connection.execute(newest)
    ]


def check_not_erased(tenancy: Tenancy, tenant: uuid.UUID) -> None:
    """Lets a tenant pass that nobody has erased.

    Raises: TenantWasErased, LoginRequired.
    """
    with tenancy.catalog(_ACTION) as connection:
        gone = [erasure for erasure in listing(connection, tenant) if not erasure.subject]
    if gone:
        raise TenantWasErased(tenant=tenant, when=f"{gone[0].created_at:%Y-%m-%d}")


def replay(
    tenancy: Tenancy, view: Purge, ring: KeyRing, *, source: uuid.UUID, audits: Sequence[Audit] | None = None
) -> Mapping[str, int]:
    """Forgets again, among the rows that a restore has just written, everybody who was erased from them before.

    *view* is the restore's own transaction; *source* is the tenant that the archive is of. Returns how many rows were
    changed, by table.

    Raises: TenantWasErased, ErasureKeyMissing, PersonEntangled, AuditNotGiven.
    """
    check_not_erased(tenancy, source)
    with tenancy.catalog(_ACTION) as connection:
        log = listing(connection, source)
    changed: dict[str, int] = {}
    for erasure in log:
        names = _names(tenancy, view, ring, erasure)
        if names:
            forgetting = Forgetting(view, tenancy.metadata, Person.of(names), audits or audits_of(tenancy))
            traces = forgetting.traces()
            forgetting.forget(traces, others=False, reason=f"erasure {erasure.id}, replayed after a restore")
            for table, rows in traces.counts(others=False).items():
                changed[table] = changed.get(table, 0) + rows
    return changed


def _names(tenancy: Tenancy, view: Purge, ring: KeyRing, erasure: Erasure) -> set[str]:
    """Returns the names of the erased person that the rows have again."""
    is_named = naming_of(ring, erasure)
    added = [table for table in owned_tables(tenancy.metadata, Ownership.TENANT) if BEHAVIOUR in table.info]
    kept = {str(value) for table in added for value in _naming_values(view, table) if is_named(value)}
    return kept | names_in(view, tenancy.metadata, is_named)


def _naming_values(view: Purge, table: Table) -> list[Any]:
    return [value for column in table.columns if column.name in _NAMING for value in distinct(view, column)]


def _digest(key: bytes, tenant: uuid.UUID, value: object) -> str:
    return hmac.digest(key, tenant.bytes + folded(value).encode(), "sha256").hex()
