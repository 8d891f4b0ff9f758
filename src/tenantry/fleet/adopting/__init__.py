"""Databases that existed before Tenantry, taken over in stages that can stop, be resumed and be taken back."""

from tenantry.fleet.adopting.adoption import Adoption
from tenantry.fleet.adopting.plans import Found, Plan, Single, Through, Value, through, value
from tenantry.fleet.adopting.stages import Observation, Stage, Status, TableCount

__all__ = [
    "Adoption",
    "Found",
    "Observation",
    "Plan",
    "Single",
    "Stage",
    "Status",
    "TableCount",
    "Through",
    "Value",
    "through",
    "value",
]
