"""What tenants use of language models: tokens, their cost, totals, and budgets that stop at the exact call."""

from tenantry.usage.budgets import Amount, Budget, Threshold
from tenantry.usage.core import Call, Reservation, Usage, UsageRecord
from tenantry.usage.money import Money
from tenantry.usage.prices import Price
from tenantry.usage.totals import Total, Totals

__all__ = [
    "Amount",
    "Budget",
    "Call",
    "Money",
    "Price",
    "Reservation",
    "Threshold",
    "Total",
    "Totals",
    "Usage",
    "UsageRecord",
]
