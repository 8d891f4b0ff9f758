"""What incidents stand on below: the audit, kill switches, rates and breakers; their tables are the models'."""

from __future__ import annotations

from typing import Final

from tenantry.audit import Audit
from tenantry.audit.entries import declare
from tenantry.limits import Breakers, KillSwitches, Policy, Rates
from tenantry.limits.circuits import breakers_table
from tenantry.limits.rate_statements import rates_table
from tenantry.models.behaviours import OnMetadata
from tenantry.packs.incidents import models  # noqa: F401  # the base is whole before a tenancy is made of it
from tenantry.packs.incidents.base import IncidentsBase
from tenantry.tenancy import Tenancy

# The tables stand from the start, whether a process uses the behaviours or not: the migrations hold them.
_MODELS: Final = OnMetadata(IncidentsBase.metadata)
declare(_MODELS, "audit_log", "audit_heads")
breakers_table(_MODELS, "circuit_breakers")
rates_table(_MODELS, "rate_limits")


class Behaviours:
    """The behaviours of one tenancy of incidents; ``behaviours_of`` gives each tenancy its own."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy
        self.audit = Audit(tenancy)
        self.switches = KillSwitches(tenancy, audit=self.audit.record)
        self.rates = Rates(tenancy)

    def breakers(self, policy: Policy) -> Breakers:
        """Returns the breakers, one for each tenant and vendor, as this policy has them."""
        return Breakers(self.tenancy, policy=policy)


_KEPT: Final = "tenantry_incidents"


def behaviours_of(tenancy: Tenancy) -> Behaviours:
    """Returns the behaviours of a tenancy, the same ones each time."""
    # On the tenancy itself: they lead back to it, so that a weak table would keep both for ever.
    kept = vars(tenancy)
    if _KEPT not in kept:
        kept[_KEPT] = Behaviours(tenancy)
    found: Behaviours = kept[_KEPT]
    return found
