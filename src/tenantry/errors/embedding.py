"""The embedded server."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class EmbeddedServerError(TenantryError):
    """The embedded PostgreSQL server could not {action}: {reason}"""

    def __init__(self, *, action: str, reason: str, log: str = "") -> None:
        super().__init__(action=action, reason=reason, log=log)
        if log:
            self.args = ("\n".join([str(self), "Its last messages were:", *log.splitlines()[-15:]]),)
