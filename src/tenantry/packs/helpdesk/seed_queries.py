"""The document's query builder, over a session that is bound to one company."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar

from sqlalchemy import and_

from tenantry.errors import CrossTenant, InvalidFilter, TenantNotFound
from tenantry.models.ownership import is_walled
from tenantry.packs.helpdesk.models import Company
from tenantry.packs.helpdesk.seed_config import company_key
from tenantry.packs.helpdesk.seed_doors import door
from tenantry.repository import Query, Repository
from tenantry.repository.fields import Use, field
from tenantry.repository.pages import check_page
from tenantry.session.core import TenantSession

M = TypeVar("M")


class QueryBuilder(Generic[M]):
    """Rows of a model, narrowed step by step: each step returns the builder.

    The session's company is always the scope; ``filter_by_tenant`` makes sure which one that is.

    Raises: InvalidFilter for a model that no tenant owns.
    """

    def __init__(self, model_class: type[M], session: TenantSession) -> None:
        if not is_walled(model_class.__table__):  # type: ignore[attr-defined]  # a mapped class has one
            raise InvalidFilter(model=model_class.__name__, name="tenant_id", reason="no tenant owns these rows.")
        self.model_class = model_class
        self.session = session
        self.query: Query[M] = Repository(session, model=model_class).query()

    def __repr__(self) -> str:
        return f"<QueryBuilder of {self.model_class.__name__}>"

    def filter_by_tenant(self, tenant_id: Any, platform: str) -> Self:
        """Keeps a company's rows of a platform; the company must be the session's.

        Raises: CrossTenant, InvalidKey.
        """
        if not _is_of(self.session, tenant_id, platform):
            raise CrossTenant(model=self.model_class.__name__, tenant=tenant_id)
        if hasattr(self.model_class, "platform"):
            self.query = self.query.filter_by(platform=platform)
        return self

    def filter_by_date_range(self, start_date: Any, end_date: Any, date_field: str = "created_at") -> Self:
        """Keeps the rows between two times, both included; a date means the whole of its day, in UTC.

        Raises: UnknownField, InvalidFilter.
        """
        chosen = field(self.model_class, date_field, use=Use.COMPARE)
        start = _moment(start_date)
        if isinstance(end_date, datetime.datetime):
            upper = chosen <= _moment(end_date)
        else:
            upper = chosen < _moment(end_date) + datetime.timedelta(days=1)
        self.query = self.query.where(and_(chosen >= start, upper))
        return self

    def filter_by_status(self, status_list: Sequence[str]) -> Self:
        """Keeps the rows in one of these states.

        Raises: UnknownField for a model without a status.
        """
        self.query = self.query.filter_by(status=list(status_list))
        return self

    def order_by(self, field: str, desc: bool = False) -> Self:
        """Orders by a field, after those given before; the row's key decides between equals.

        Raises: UnknownField.
        """
        self.query = self.query.order_by(f"-{field}" if desc else field)
        return self

    def paginate(self, page: int, per_page: int) -> Self:
        """Keeps one page, the first being number 1.

        Raises: InvalidPage.
        """
        check_page(page, per_page)
        self.query = self.query.offset((page - 1) * per_page).limit(per_page)
        return self

    def execute(self) -> list[M]:
        """Returns the rows.

        Raises: TenantRequired where the session has no tenant.
        """
        return self.query.all()


def _is_of(session: TenantSession, tenant_id: Any, platform: str) -> bool:
    key = company_key(tenant_id, platform)
    tenancy = session.info.get("tenancy") or door.tenancy
    try:
        named = tenancy.tenants.get(key).id
    except TenantNotFound:
        # A company that was made without the door is known by its own row alone.
        own = Repository(session, model=Company).find()
        return own is not None and (own.name, own.platform) == (tenant_id, platform)
    return bool(named == session.tenant.id)


def _moment(given: Any) -> datetime.datetime:
    if isinstance(given, datetime.datetime):
        return given if given.utcoffset() is not None else given.replace(tzinfo=datetime.UTC)
    if isinstance(given, datetime.date):
        return datetime.datetime.combine(given, datetime.time(), tzinfo=datetime.UTC)
    raise InvalidFilter(model="QueryBuilder", name="date", reason=f"{type(given).__name__} is no date.")
