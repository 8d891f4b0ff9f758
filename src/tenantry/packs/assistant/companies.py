"""Companies: numbered in the primary database, each with a tenant of its own."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tenantry.errors import CompanyUnknown, TenantExists, TenantNotFound
from tenantry.packs.assistant.base import COMPANY_KIND, COMPANY_SETTING, number_of, slug_of
from tenantry.packs.assistant.models_primary import Company
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant, TenantKey, TenantStatus


@dataclass(frozen=True, slots=True)
class CompanyCard:
    """A company as the primary knows it."""

    id: int
    name: str
    industry: str | None
    database_name: str
    is_active: bool
    tenant: Tenant | None = None


class Companies:
    """Makes companies, with their databases, and closes them; the platform's and the owner's work."""

    def __init__(self, tenancy: Tenancy, *, isolation: Isolation = Isolation.DATABASE) -> None:
        self._tenancy = tenancy
        self._isolation = isolation

    def __repr__(self) -> str:
        return f"Companies({self._tenancy!r})"

    def create(
        self,
        name: str,
        *,
        industry: str | None = None,
        company_id: int | None = None,
        isolation: Isolation | str | None = None,
        server: str | None = None,
    ) -> CompanyCard:
        """Returns a new company with its database, numbered as asked or next.

        Raises: TenantExists for a name or number that is taken, and as ``tenancy.tenants.create``.
        """
        with self._tenancy.platform() as session:
            company = Company(id=company_id, name=name, industry=industry)
            try:
                session.add(company)
                session.flush()
            except IntegrityError as error:
                raise TenantExists(slug=name) from error
            company.database_name = database_name(company.id)
            session.commit()
            number = company.id
        return self.initialise(number, isolation=isolation, server=server)

    def ensure(self, name: str, *, company_id: int, industry: str | None = None, **place: str | None) -> CompanyCard:
        """Returns the company of this number, made where there is none.

        Raises: as ``create``.
        """
        try:
            return self.initialise(company_id, **place)
        except CompanyUnknown:
            return self.create(name, company_id=company_id, industry=industry, **place)

    def initialise(
        self, company_id: int, *, isolation: Isolation | str | None = None, server: str | None = None
    ) -> CompanyCard:
        """Makes the database of a company that the primary knows; one that stands, or half stands, is taken as it is.

        Raises: CompanyUnknown, and as ``tenancy.tenants.create``.
        """
        found = self.get(company_id)
        if found.tenant is None or found.tenant.status is TenantStatus.PROVISIONING:
            tenant = self._tenant(found, isolation or self._isolation, server)
            with self._tenancy.platform() as session:
                row = _row(session, company_id)
                row.tenant, row.database_name = tenant.id, found.database_name
                session.commit()
        return self.get(company_id)

    def register(self) -> int:
        """Tells the primary of every company's tenant that it does not know, as after samples were loaded, and returns
        how many these were.

        Raises: LoginRequired without the platform's login.
        """
        found = [(number_of(tenant), tenant) for tenant in self._tenancy.every_tenant()]
        added = 0
        with self._tenancy.platform() as session:
            for number, tenant in found:
                if number is not None and session.get(Company, number) is None:
                    named = {"name": tenant.name, "database_name": database_name(number)}
                    session.add(Company(id=number, tenant=tenant.id, **named))
                    added += 1
            session.commit()
        return added

    def get(self, company_id: int) -> CompanyCard:
        """Returns a company.

        Raises: CompanyUnknown.
        """
        with self._tenancy.platform() as session:
            card = _card(_row(session, company_id))
        return self._placed(card)

    def list(self, *, limit: int = 50, offset: int = 0) -> list[CompanyCard]:
        """Returns companies by their numbers, without saying where their rows are."""
        with self._tenancy.platform() as session:
            wanted = select(Company).order_by(Company.id).limit(limit).offset(offset)
            return [_card(company) for company in session.scalars(wanted)]

    def count(self) -> int:
        """Returns how many companies there are."""
        with self._tenancy.platform() as session:
            return session.scalar(select(func.count()).select_from(Company)) or 0

    def close(self, company_id: int) -> CompanyCard:
        """Lets nobody in: its users' next requests are refused, and so is any other session of it.

        Raises: CompanyUnknown, LifecycleError.
        """
        return self._set_active(company_id, active=False)

    def reopen(self, company_id: int) -> CompanyCard:
        """Lets people in again.

        Raises: CompanyUnknown, LifecycleError.
        """
        return self._set_active(company_id, active=True)

    def key(self, company_id: int) -> TenantKey:
        """Returns what finds a company's tenant."""
        return COMPANY_KIND, str(company_id)

    def _set_active(self, company_id: int, *, active: bool) -> CompanyCard:
        found = self.get(company_id)
        if found.tenant is not None and (found.tenant.status is TenantStatus.ACTIVE) is not active:
            (self._tenancy.tenants.resume if active else self._tenancy.tenants.suspend)(found.tenant)
        with self._tenancy.platform() as session:
            _row(session, company_id).is_active = active
            session.commit()
        return self.get(company_id)

    def _tenant(self, company: CompanyCard, isolation: Isolation | str, server: str | None) -> Tenant:
        slug = slug_of(company.id)
        try:
            return self._tenancy.tenants.create(
                slug,
                name=company.name,
                isolation=isolation,
                server=server,
                identities={COMPANY_KIND: str(company.id)},
                settings={COMPANY_SETTING: company.id},
            )
        except TenantExists:
            # Made by a call that stopped before the primary knew.
            return self._tenancy.tenants.get(self.key(company.id))

    def _placed(self, card: CompanyCard) -> CompanyCard:
        try:
            tenant = self._tenancy.tenants.get(self.key(card.id))
        except TenantNotFound:
            return card
        return CompanyCard(card.id, card.name, card.industry, card.database_name, card.is_active, tenant)


def database_name(company_id: int) -> str:
    """Returns the name by which scripts call a company's database."""
    return f"company_{company_id}.db"


def _row(session: Session, company_id: int) -> Company:
    found = session.get(Company, company_id)
    if found is None:
        raise CompanyUnknown(company_id=company_id)
    return found


def _card(company: Company) -> CompanyCard:
    named = company.database_name or database_name(company.id)
    return CompanyCard(company.id, company.name, company.industry, named, company.is_active)
