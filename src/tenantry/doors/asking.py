"""Who asks at a door: the job that runs here, else the request that is served here, else nobody in particular."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tenantry.errors import TenantRequired
from tenantry.jobs.context import bound_here
from tenantry.web.context import request_context


@dataclass(frozen=True, slots=True)
class Asking:
    """The one tenant whose sessions a door gives here, or None for any, and what they are told of the asker."""

    tenant: uuid.UUID | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def asking() -> Asking:
    """Returns who asks in this task or thread.

    Raises: TenantRequired in a request that is to have no tenant: it finds none behind a door either.
    """
    here, context = bound_here(), request_context()
    if here is not None and here.job is not None:
        return Asking(here.job.envelope.tenant, here.job.envelope.facts())
    if context is None:
        return Asking()
    if context.closed:
        raise TenantRequired
    return Asking(context.found.id if context.found else None, context.facts())
