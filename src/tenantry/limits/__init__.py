"""Limits: rates and quotas, each by the tenant; ``limits.redis`` holds the Redis store of rates."""

from tenantry.limits.breakers import Breakers
from tenantry.limits.circuits import Circuit, CircuitState, Permit, Policy
from tenantry.limits.kill_switches import KillSwitch, KillSwitches
from tenantry.limits.rates import Rates
from tenantry.limits.rules import Decision, Limit, RateUsage, Rule, TokenBucket

__all__ = [
    "Breakers",
    "Circuit",
    "CircuitState",
    "Decision",
    "KillSwitch",
    "KillSwitches",
    "Limit",
    "Permit",
    "Policy",
    "RateUsage",
    "Rates",
    "Rule",
    "TokenBucket",
]
