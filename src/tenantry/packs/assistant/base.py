"""What the assistant's tables have in common: one declarative base, and the number of the company a row belongs to."""

from __future__ import annotations

import enum
import re
import uuid
from typing import Any, Final

from sqlalchemy import CheckConstraint, Connection, Integer, event
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, Session, SessionTransaction, mapped_column, object_session

from tenantry.errors import CrossTenant, TenantRequired
from tenantry.models import TENANT_COLUMN, TenantOwned
from tenantry.session.core import TenantSession
from tenantry.types import Tenant

# The kind of the identity that finds a company's tenant, and the setting that tells its number again.
COMPANY_KIND: Final = "company"
COMPANY_SETTING: Final = "company_id"

_SLUG: Final = re.compile(r"company-([1-9][0-9]{0,9})")
# By tenant, the number of each company that this process has opened a session of.
_numbers: Final[dict[uuid.UUID, int | None]] = {}


class AssistantBase(DeclarativeBase):
    """The declarative base of the assistant: ``Tenancy(url, models=AssistantBase)``."""


def slug_of(company_id: int) -> str:
    """Returns the slug of a company's tenant."""
    return f"company-{company_id}"


def number_of(tenant: Tenant) -> int | None:
    """Returns the number of the company whose tenant this is, or None where it is no company's."""
    said = tenant.settings.get(COMPANY_SETTING)
    if isinstance(said, int):
        return said
    found = _SLUG.fullmatch(tenant.slug)
    return int(found[1]) if found else None


def _company_of_row(context: DefaultExecutionContext) -> int | None:
    row: dict[str, Any] = context.get_current_parameters()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it bare
    return _numbers.get(row[TENANT_COLUMN])


class Numbered(TenantOwned):
    """Rows of one company that are numbered 1, 2, 3 …"""

    id: Mapped[int] = mapped_column(  # type: ignore[assignment]  # the document's own keys are whole numbers
        Integer, primary_key=True, sort_order=-98
    )


class OfCompany(Numbered):
    """Rows of one company; ``company_id`` is always that company's number in the primary database."""

    company_id: Mapped[int | None] = mapped_column(Integer, default=_company_of_row, sort_order=80)


def one_of(words: type[enum.StrEnum], *, table: str, column: str) -> CheckConstraint:
    """Returns the constraint that a column holds one of *words*."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"ck_{table}_{column}")


@event.listens_for(TenantSession, "after_begin")
def _note_company(session: Session, _: SessionTransaction, __: Connection) -> None:
    if isinstance(session, TenantSession):
        _numbers[session.tenant.id] = number_of(session.tenant)


@event.listens_for(OfCompany, "before_insert", propagate=True)
@event.listens_for(OfCompany, "before_update", propagate=True)
def _refuse_another_company(_: Mapper[Any], __: Connection, row: OfCompany) -> None:
    session = object_session(row)
    if row.tenant_id is None:
        # A session of the primary has no company to give it to.
        raise TenantRequired
    number = number_of(session.tenant) if isinstance(session, TenantSession) else None
    if isinstance(session, TenantSession) and number is not None and row.company_id not in (None, number):
        raise CrossTenant(model=type(row).__name__, tenant=session.tenant.id)
