"""The tenants that a database turns out to hold, entered in the catalog; they get no sessions before stage filter."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from tenantry.catalog import adopting as catalog
from tenantry.errors import TenantCreationDisabled
from tenantry.ids import check_identity, check_slug, uuid7
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant, TenantStatus

_ACTION: Final = "Adopting a database"
_BATCH: Final = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Known:
    """A tenant as its database knows it."""

    value: str
    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class Entered:
    """The tenant of one value; *made* is false for one that others had entered and opened before."""

    value: str
    tenant: uuid.UUID
    made: bool


@dataclass(frozen=True)
class Register:
    """Enters the tenants of one database, all placed alike; *kind* is that of the names by which it knows them."""

    tenancy: Tenancy
    server: str
    isolation: Isolation
    kind: str

    def enter(self, known: Sequence[Known]) -> Iterator[Entered]:
        """Yields the tenant of each value, entered now or before; a batch of them is one transaction.

        Raises: InvalidSlug, InvalidKey, TenantExists, TenantLimitReached, TenantCreationDisabled.
        """
        if known and not self.tenancy.config.allow_tenant_creation:
            raise TenantCreationDisabled
        for batch in _batches(known):
            yield from self._enter(batch)

    def open(self, tenants: Iterable[uuid.UUID]) -> None:
        """Opens tenants to sessions."""
        for batch in _batches(list(tenants)):
            with self.tenancy.catalog(_ACTION) as connection:
                catalog.set_status(connection, batch, seen=TenantStatus.PROVISIONING, wanted=TenantStatus.ACTIVE)
        self.tenancy.router.clear()

    def close(self, tenants: Iterable[uuid.UUID]) -> None:
        """Closes tenants to new sessions, as if they had not been opened yet."""
        for batch in _batches(list(tenants)):
            with self.tenancy.catalog(_ACTION) as connection:
                catalog.set_status(connection, batch, seen=TenantStatus.ACTIVE, wanted=TenantStatus.PROVISIONING)
        self.tenancy.router.clear()

    def forget(self, tenants: Iterable[uuid.UUID]) -> None:
        """Removes tenants from the catalog; their rows stay where they are."""
        for batch in _batches(list(tenants)):
            with self.tenancy.catalog(_ACTION) as connection:
                catalog.forget(connection, batch)
        self.tenancy.router.clear()

    def taken(self, known: Sequence[Known]) -> set[str]:
        """Returns the slugs that tenants of others bear already."""
        slugs: set[str] = set()
        for batch in _batches(known):
            with self.tenancy.catalog(_ACTION) as connection:
                entered = catalog.found_by(connection, self.kind, [one.value for one in batch])
                slugs |= catalog.taken_slugs(connection, [one.slug for one in batch if one.value not in entered])
        return slugs

    def _enter(self, batch: Sequence[Known]) -> list[Entered]:
        with self.tenancy.catalog(_ACTION) as connection:
            entered = catalog.found_by(connection, self.kind, [one.value for one in batch])
            new = {one.value: self._tenant(one) for one in batch if one.value not in entered}
            names = [(tenant, [(self.kind, value)]) for value, tenant in new.items()]
            catalog.register(connection, names, ceiling=self.tenancy.config.max_tenants)
        fresh = [Entered(value, tenant.id, made=True) for value, tenant in new.items()]
        # Ours are not open yet: what is still being provisioned was entered by a run that did not come this far.
        known = [Entered(value, one, status is TenantStatus.PROVISIONING) for value, (one, status) in entered.items()]
        return [*fresh, *known]

    def _tenant(self, known: Known) -> Tenant:
        check_identity(self.kind, known.value)
        identifier = uuid7()
        return Tenant(
            id=identifier,
            slug=check_slug(known.slug),
            name=known.name,
            status=TenantStatus.PROVISIONING,
            isolation=self.isolation,
            server=self.server,
            physical=self.tenancy.servers.strategy(self.server, self.isolation).place(identifier),
            epoch=1,
        )


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
