"""What the helpdesk's tables have in common: one declarative base, their company, and the platform they come from."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, ForeignKey, String, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, declared_attr, mapped_column, object_session, relationship

from tenantry.models import TenantOwned, Timestamps
from tenantry.models.keys import tenant_of_row

if TYPE_CHECKING:
    from tenantry.packs.helpdesk.models import Company

# In Session.info: the platform that the session was opened for, which new rows without one get.
PLATFORM: Final = "tenantry_helpdesk_platform"
# In Session.info: what is known of each tenant's company, so that many new rows ask once.
_COMPANIES: Final = "tenantry_helpdesk_companies"


class HelpdeskBase(DeclarativeBase):
    """The declarative base of the helpdesk: ``Tenancy(url, models=HelpdeskBase)``."""


# The declarative base of each of the five systems is called so in its document.
Base = HelpdeskBase


class OnPlatform:
    """Rows that come from a platform: their company's, unless given."""

    platform: Mapped[str] = mapped_column(String(50), sort_order=-89)


class OfCompany(OnPlatform, TenantOwned, Timestamps):
    """Rows of one company: ``company_id`` is always the tenant's id, ``platform`` the company's unless given."""

    company_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("companies.id", ondelete="CASCADE"), default=tenant_of_row, sort_order=-90
    )

    if TYPE_CHECKING:
        __tablename__: str

    @declared_attr
    @classmethod
    def company(cls) -> Mapped[Company]:
        """The company that the row belongs to."""
        return relationship("Company", back_populates=cls.__tablename__)


@event.listens_for(OnPlatform, "before_insert", propagate=True)
def _stamp_platform(_: Mapper[Any], connection: Connection, row: Any) -> None:
    if row.platform is None:
        session = object_session(row)
        asked = None if session is None else session.info.get(PLATFORM)
        row.platform = asked or company_of(row, connection)[1]


def company_of(row: Any, connection: Connection) -> tuple[str | None, str | None]:
    """Returns name and platform of the company that a row is of, while it is written; neither where there is none."""
    companies = HelpdeskBase.metadata.tables["companies"]
    session = object_session(row)
    known: dict[uuid.UUID, Any] = {} if session is None else session.info.setdefault(_COMPANIES, {})
    if row.tenant_id not in known:
        own = select(companies.c.name, companies.c.platform).where(companies.c.tenant_id == row.tenant_id)
        found = connection.execute(own).first()
        if found is None:
            return None, None
        known[row.tenant_id] = tuple(found)
    return known[row.tenant_id]  # type: ignore[no-any-return]  # what was put there just above
