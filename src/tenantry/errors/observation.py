"""Observation."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class ExplainRefused(TenantryError):
    """What was to be explained {what}, so it was not sent. {fix}"""


class TooManyStatements(TenantryError, AssertionError):
    """{count} statements were sent where {limit} were allowed: {statements} Load what belongs together in one
    statement, by selectinload() or joinedload()."""
