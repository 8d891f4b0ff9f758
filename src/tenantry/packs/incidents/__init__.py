"""Incidents: workflows report events, failures become incidents, what is decided and done about them is kept."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from tenantry.packs.incidents.base import BaseModel, CorrelationMixin, IncidentsBase, TenantMixin
from tenantry.packs.incidents.environment import incidents_tenancy
from tenantry.packs.incidents.flow import Flow, Ingested
from tenantry.packs.incidents.models import (
    ACTIONS,
    INCIDENTS,
    Action,
    Decision,
    Event,
    Incident,
    KillSwitch,
    Tenant,
    Vendor,
    Workflow,
)
from tenantry.packs.incidents.pack import Incidents
from tenantry.packs.incidents.permissions import ROLES
from tenantry.packs.incidents.states import ActionStatus, ActionType, CircuitState, IncidentStatus, Severity
from tenantry.packs.incidents.vendors import Vendors

if TYPE_CHECKING:
    from tenantry.packs.incidents.http import router
    from tenantry.packs.incidents.repositories import (
        ActionRepository,
        BaseRepository,
        DecisionRepository,
        EventRepository,
        IncidentRepository,
        KillSwitchRepository,
        TenantRepository,
        VendorRepository,
        WorkflowRepository,
    )
    from tenantry.packs.incidents.seed_session import close_db, door, get_engine, get_session

__all__ = [
    "ACTIONS",
    "INCIDENTS",
    "ROLES",
    "Action",
    "ActionRepository",
    "ActionStatus",
    "ActionType",
    "BaseModel",
    "BaseRepository",
    "CircuitState",
    "CorrelationMixin",
    "Decision",
    "DecisionRepository",
    "Event",
    "EventRepository",
    "Flow",
    "Incident",
    "IncidentRepository",
    "IncidentStatus",
    "Incidents",
    "IncidentsBase",
    "Ingested",
    "KillSwitch",
    "KillSwitchRepository",
    "Severity",
    "Tenant",
    "TenantMixin",
    "TenantRepository",
    "Vendor",
    "VendorRepository",
    "Vendors",
    "Workflow",
    "WorkflowRepository",
    "close_db",
    "door",
    "get_engine",
    "get_session",
    "incidents_tenancy",
    "router",
]

# These need greenlet or FastAPI, which not every installation has.
_LATE: Final = {
    "router": "http",
    "close_db": "seed_session",
    "door": "seed_session",
    "get_engine": "seed_session",
    "get_session": "seed_session",
    "ActionRepository": "repositories",
    "BaseRepository": "repositories",
    "DecisionRepository": "repositories",
    "EventRepository": "repositories",
    "IncidentRepository": "repositories",
    "KillSwitchRepository": "repositories",
    "TenantRepository": "repositories",
    "VendorRepository": "repositories",
    "WorkflowRepository": "repositories",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'tenantry.packs.incidents' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
    return found
