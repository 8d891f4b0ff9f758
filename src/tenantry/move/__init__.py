"""A tenant carried from one placement to another, while it is used."""

from tenantry.move.core import Move
from tenantry.move.stages import Place, Plan, Status, Step, Way

__all__ = ["Move", "Place", "Plan", "Status", "Step", "Way"]
