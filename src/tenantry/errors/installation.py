"""Settings and installation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenantry.errors.base import TenantryError
from tenantry.types import Finding


class ConfigurationError(TenantryError):
    """{what} {fix}"""


class ExtraMissing(TenantryError, ImportError):
    """{module} needs a package that is not installed. Run: pip install "tenantry[{extra}]"."""


class ModelsRefused(TenantryError):
    """{count} thing(s) in the models cannot be walled; mend each, then start again:
    {listing}"""

    findings: Sequence[Finding]

    def __init__(self, *, findings: Sequence[Finding], **_: Any) -> None:
        super().__init__(findings=findings, count=len(findings), listing="")
        lines = [f"{number}. {finding}" for number, finding in enumerate(findings, 1)]
        self.args = ("\n".join([str(self), *lines]),)


class UnsafeLogin(TenantryError):
    """The login {login!r} on server {server!r} {reason}, so the database would not hold the walls for it.
    Run `tenantry install --login NAME` with the owner's URL and put the URL it prints into Tenancy(url=...),
    or pass demote=True on a development server."""

    login: str
    server: str
    reason: str


class LoginRequired(TenantryError):
    """{action} on server {server!r} needs the {role} login. Pass {role}_url=... (TENANTRY_{upper}_URL) to Tenancy."""

    def __init__(self, *, action: str, role: str, server: str = "main", **_: Any) -> None:
        super().__init__(action=action, role=role, server=server, upper=role.upper())


class CatalogMissing(TenantryError):
    """Server {server!r} has no Tenantry catalog yet. Run `tenantry install`, or call tenancy.install()."""


class CatalogVersionMismatch(TenantryError):
    """The catalog stands at version {found}, but this library reads {oldest} to {newest}.
    Run `tenantry install` if the catalog is older; upgrade the tenantry package if it is newer."""


class ServerUnknown(TenantryError):
    """No server named {name!r} is registered in this process. Register it first: tenancy.servers.add({name!r}, url)."""


class ServerExists(TenantryError):
    """A server named {name!r} is already registered in this process. Choose another name, or drop the second add()."""


class IsolationUnavailable(TenantryError):
    """Isolation {isolation!r} is not available on server {server!r}: {reason}"""
