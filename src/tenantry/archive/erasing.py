"""Erasing: a tenant, or one of its persons, out of every place where something is kept, with a certificate of it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tenantry.archive import erasing_persons, erasing_tenants, erasures, operating, sweeping
from tenantry.archive.certificates import PERSON, TENANT, Certificate
from tenantry.archive.core import Archive
from tenantry.archive.erasing_places import Places, check_stores
from tenantry.archive.erasures import Erasure, subject_of
from tenantry.archive.persons import Person, check_declared
from tenantry.archive.stores import Store
from tenantry.audit.core import Audit
from tenantry.audit.restoring import audits_of
from tenantry.catalog import operations
from tenantry.catalog.lifecycle import check_step
from tenantry.catalog.operations import BACKUP, CHANGING, ERASE, VERIFY, Operation
from tenantry.errors import EraseNotConfirmed, OperationInProgress
from tenantry.events import watched
from tenantry.types import Tenant, TenantKey, TenantStatus

_ACTION: Final = "Erasing"


class Copies(Protocol):
    """A place outside the database that keeps copies of tenants' rows: a cache, a search index, another system."""

    name: str

    def forget(self, tenant: uuid.UUID, subject: Collection[str] | None) -> int:
        """Removes what it keeps of a tenant, or of the person with these names, and returns how much that was.

        Called again it finds nothing and returns 0: that is how the certificate knows.
        """
        ...


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What an erase would take: rows by table, archives by store, and rows that would stay and mention the person."""

    tenant: Tenant
    scope: str
    rows: dict[str, int]
    archives: dict[str, int]
    mentions: dict[str, int]


class Erasing:
    """Erases tenants and persons from an installation: rows, audit, archives with their keys, and further *copies*.

    *stores* are those beside the archive's own in which archives of tenants may lie; *audits* are found by themselves
    where this process has made them.
    """

    def __init__(
        self,
        archive: Archive,
        *,
        stores: Sequence[Store] = (),
        audits: Sequence[Audit] | None = None,
        copies: Sequence[Copies] = (),
    ) -> None:
        self.archive = archive
        self.tenancy = archive.tenancy
        self.stores = (archive.store, *stores)
        self.copies = tuple(copies)
        self._audits = audits

    def __repr__(self) -> str:
        return f"Erasing({self.archive!r})"

    @property
    def audits(self) -> Sequence[Audit]:
        """The audits whose entries are redacted."""
        return audits_of(self.tenancy) if self._audits is None else self._audits

    @watched("erase.tenant")
    def tenant(self, key: TenantKey, *, confirm: str, force: bool = False) -> Certificate:
        """Removes a tenant from every place and returns the certificate; one that was begun and killed is finished.

        *confirm* repeats the slug; *force* takes along what stands in the tenant's own schema or file and was not made
        from the models. Behind a crash the tenant may be nameless already: give its identifier then.

        Raises: TenantNotFound, EraseNotConfirmed, LifecycleError, SurprisingErase, OperationInProgress, LoginRequired,
            EraseUnfinished where a look afterwards still finds something.
        """
        tenant = self.tenancy.tenants.get(key)
        if tenant.status is not TenantStatus.ERASED and confirm != tenant.slug:
            raise EraseNotConfirmed(slug=tenant.slug)
        begun = self._taken_up(tenant, TENANT, ())
        if begun is None:
            if tenant.status is not TenantStatus.ERASING:
                check_step(tenant.id, tenant.status, TenantStatus.ERASING)
            begun = self._begin(tenant, {"scope": TENANT, "place": _place(tenant)})
        return erasing_tenants.erase(self._places(tenant, begun), force=force)

    @watched("erase.person")
    def person(self, key: TenantKey, names: str | Iterable[str], *, mentions: bool = False) -> Certificate:
        """Removes a person from every place of a tenant's and returns the certificate; one that was killed is finished.

        *names* are all the values by which rows name the person. With *mentions* the person is also taken out of other
        people's rows; otherwise the certificate counts those. Where the tenant has archives it gets a new one, under a
        new key, and every older one goes.

        Raises: PersonsUndeclared, PersonUnnamed, PersonEntangled, AuditNotGiven, TenantNotFound, OperationInProgress,
            LoginRequired, EraseUnfinished where a look afterwards still finds something.
        """
        person = Person.of(names)
        check_declared(self.tenancy.metadata)
        tenant = self.tenancy.tenants.get(key)
        subject = subject_of(self.archive.ring, tenant.id, person)
        begun = self._taken_up(tenant, PERSON, subject)
        if begun is None:
            erasing_persons.check(self._places(tenant), person)
            facts = {"scope": PERSON, "subject": list(subject), "keyed_by": self.archive.ring.current}
            begun = self._begin(tenant, {**facts, "mentions": mentions})
        return erasing_persons.erase(self._places(tenant, begun), person)

    def foresee(self, key: TenantKey, names: str | Iterable[str] | None = None) -> Foreseen:
        """Returns what an erase of a tenant would take, or with *names* of a person; nothing is changed.

        Raises: TenantNotFound, LoginRequired, and for a person as ``person``.
        """
        places = self._places(self.tenancy.tenants.get(key))
        archives = {repr(store): len(list(places.names_in(store))) for store in self.stores}
        if names is None:
            return Foreseen(places.tenant, TENANT, erasing_tenants.count(places), archives, {})
        check_declared(self.tenancy.metadata)
        traces = erasing_persons.look(places, Person.of(names))
        others = {table: len(rows) for table, rows in traces.others.items()}
        return Foreseen(places.tenant, PERSON, traces.counts(others=False), archives, others)

    def log(self, key: TenantKey | None = None) -> list[Erasure]:
        """Returns the log of erasures, of one tenant or of all, the newest first, with the certificates.

        Raises: TenantNotFound, LoginRequired.
        """
        tenant = None if key is None else self.archive.identify(key)
        with self.tenancy.catalog(_ACTION) as connection:
            return erasures.listing(connection, tenant)

    def status(self) -> list[Operation]:
        """Returns the erases that were begun and have not come to their end, the newest first.

        Raises: LoginRequired.
        """
        return operating.unfinished(self.tenancy, ERASE)

    def _places(self, tenant: Tenant, begun: Operation | None = None) -> Places:
        return Places(self.archive, tenant, self.stores, self.copies, self.audits, begun)

    def _taken_up(self, tenant: Tenant, scope: str, subject: Sequence[str]) -> Operation | None:
        """Returns the same erase where one was begun and its process is gone."""
        with self.tenancy.catalog(_ACTION) as connection:
            for left in operations.of_tenant(connection, tenant.id, ERASE):
                same = left.detail.get("scope") == scope and tuple(left.detail.get("subject", ())) == tuple(subject)
                if left.state not in operations.ENDED and same:
                    return operations.take(connection, left.id)
        return None

    def _begin(self, tenant: Tenant, detail: dict[str, Any]) -> Operation:
        sweeping.sweep(self.archive)
        with self.tenancy.catalog(_ACTION) as connection:
            check_stores(connection, tenant.id, self.stores)
            for other in operations.of_tenant(connection, tenant.id, BACKUP, VERIFY):
                # One of them that ends later would put back what goes now.
                if other.state not in operations.ENDED:
                    raise OperationInProgress(tenant=tenant.id, kind=other.kind, operation=other.id, step=other.step)
            return operations.begin(connection, ERASE, tenant.id, step="begin", detail=detail, apart_from=CHANGING)


def _place(tenant: Tenant) -> dict[str, str]:
    # The catalog forgets a tenant's names while it is erased; where it was is asked for afterwards.
    return {"server": tenant.server, "isolation": tenant.isolation.value, "physical": tenant.physical}
