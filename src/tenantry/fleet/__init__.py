"""Migrations over every home of the fleet: planned, tried on canaries, carried on after a crash."""

from tenantry.fleet.core import Fleet
from tenantry.fleet.history import Applied, History, Pace, Position
from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.outcomes import Outcome, Ring, Run, RunState, Standing, Status, Verb, Work, WorkState

__all__ = [
    "Applied",
    "Fleet",
    "History",
    "Home",
    "HomeKind",
    "Outcome",
    "Pace",
    "Position",
    "Ring",
    "Run",
    "RunState",
    "Standing",
    "Status",
    "Verb",
    "Work",
    "WorkState",
]
