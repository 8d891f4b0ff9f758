"""The assistant: databases by name, companies, documents for everybody."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class DatabaseContextMissing(TenantryError, LookupError):
    """No database was named, and none is guessed. Call set_database_context("company_1"), or "primary", or name one:
    get_db_session("company_1")."""


class DatabaseNameRefused(TenantryError, ValueError):
    """{name!r} names no database. Give "primary", or "company_" and the company's number, with or without ".db"."""

    name: str


class CompanyUnknown(TenantryError, LookupError):
    """There is no company {company_id}. Create it with assistant.companies.create(...), or look at the number."""

    company_id: int


class ScopeRefused(TenantryError, ValueError):
    """A document for every company does not stand among one company's. Call assistant.library.publish(...), by which
    it stands once and every company reads it."""
