"""Secrets and the references to them."""

from __future__ import annotations

from sqlalchemy.exc import DontWrapMixin

from tenantry.errors.installation import ConfigurationError


# SQLAlchemy would wrap it with the parameters of the statement, and the secret is one of them.
class SecretRefused(ConfigurationError, DontWrapMixin):
    """{whose} is no reference to a secret; it is not shown, since it may be the secret itself.
    Give a reference of one of the kinds {known} such as env:NAME or file:/path."""

    whose: str
    known: str


class SecretUnreadable(ConfigurationError):
    """{whose} stands in {reference}, which cannot be read: {reason} Set it, or mend the reference."""

    whose: str
    reference: str
    reason: str
