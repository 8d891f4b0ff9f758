"""Sqitch projects as a second kind of history: the same plan, the same scripts, the same registry."""

from tenantry.fleet.sqitch.history import SqitchHistory

__all__ = ["SqitchHistory"]
