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

# In Session.info: the platform of each company, so that many new rows ask once.
_PLATFORMS: Final = "tenantry_helpdesk_platforms"


class HelpdeskBase(DeclarativeBase):
    """The declarative base of the helpdesk: ``Tenancy(url, models=HelpdeskBase)``."""


class OfCompany(TenantOwned, Timestamps):
    """Rows of one company: ``company_id`` is always the tenant's id, ``platform`` the company's unless given."""

    company_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("companies.id", ondelete="CASCADE"), default=tenant_of_row, sort_order=-90
    )
    platform: Mapped[str] = mapped_column(String(50), sort_order=-89)

    if TYPE_CHECKING:
        __tablename__: str

    @declared_attr
    @classmethod
    def company(cls) -> Mapped[Company]:
        """The company that the row belongs to."""
        return relationship("Company", back_populates=cls.__tablename__)


@event.listens_for(OfCompany, "before_insert", propagate=True)
def _stamp_platform(_: Mapper[Any], connection: Connection, row: OfCompany) -> None:
    if row.platform is None:
        row.platform = _platform_of(row, connection)


def _platform_of(row: OfCompany, connection: Connection) -> Any:
    companies = HelpdeskBase.metadata.tables["companies"]
    session = object_session(row)
    known: dict[uuid.UUID, Any] = {} if session is None else session.info.setdefault(_PLATFORMS, {})
    if row.tenant_id not in known:
        own = select(companies.c.platform).where(companies.c.tenant_id == row.tenant_id)
        known[row.tenant_id] = connection.scalar(own)
    return known[row.tenant_id]
