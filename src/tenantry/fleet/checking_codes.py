"""Every code that a check of the fleet may report, and what it stands for; a code never changes its meaning."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

CODES: Final = MappingProxyType(
    {
        "F101": "a home is behind the head of the history",
        "F102": "a home stands where no revision on the way to the head leads",
        "F103": "a home holds tables, and no revision is recorded in it",
        "F104": "the history has several heads",
        "F201": "a home is not as the models say",
        "F202": "a home is not as the others at its revision",
        "F203": "the homes are alike, and not as the models say",
        "F301": "row-level security is off or not forced on a tenant table",
        "F302": "rows refer to rows that are not there",
        "F303": "an index is invalid",
        "F304": "a constraint was never validated",
        "F305": "a foreign key is not enforced",
        "F901": "a home could not be looked at",
        "F902": "orphans could not be counted",
    }
)
