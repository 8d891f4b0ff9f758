"""Calls that take effect once however often they are repeated: keys kept with the effect, answers given again."""

from tenantry.idempotency.core import Answer, Call, Idempotency
from tenantry.idempotency.creating import Idempotent, create_idempotent

__all__ = ["Answer", "Call", "Idempotency", "Idempotent", "create_idempotent"]
