"""Limits: rates and quotas, each by the tenant; ``limits.redis`` holds the Redis store of rates."""

from tenantry.limits.breakers import Breakers
from tenantry.limits.circuits import Circuit, CircuitState, Permit, Policy
from tenantry.limits.fair_share import FairShare
from tenantry.limits.kill_switches import KillSwitch, KillSwitches
from tenantry.limits.metering import TransactionBudget
from tenantry.limits.quota_accounts import Quota
from tenantry.limits.quotas import Quotas, QuotaUsage, Recount
from tenantry.limits.rates import Rates
from tenantry.limits.rules import Decision, Limit, RateUsage, Rule, TokenBucket

__all__ = [
    "Breakers",
    "Circuit",
    "CircuitState",
    "Decision",
    "FairShare",
    "KillSwitch",
    "KillSwitches",
    "Limit",
    "Permit",
    "Policy",
    "Quota",
    "QuotaUsage",
    "Quotas",
    "RateUsage",
    "Rates",
    "Recount",
    "Rule",
    "TokenBucket",
    "TransactionBudget",
]
