"""Limits: rates and quotas, each by the tenant; ``limits.redis`` holds the Redis store of rates."""

from tenantry.limits.rates import Rates
from tenantry.limits.rules import Decision, Limit, RateUsage, Rule, TokenBucket

__all__ = ["Decision", "Limit", "RateUsage", "Rates", "Rule", "TokenBucket"]
