"""What the tests of usage share: models, prices, and what was told of thresholds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy.orm import DeclarativeBase, Session

from tenantry.usage import Price, Threshold

PRICES = {
    ("openai", "gpt-4o"): Price(Decimal("2.50"), Decimal(10)),
    "conversation": Price(Decimal("2.50"), Decimal(10)),
    "code": Price(Decimal("0.15"), Decimal("0.60")),
    "ollama": Price(Decimal(0), Decimal(0)),
}
# A second table of records, which is append-only.
KEPT = "usage_kept"


class Base(DeclarativeBase):
    pass


class Heard(list[Threshold]):
    """What a usage told when a budget reached a threshold."""

    def __call__(self, _: Any, threshold: Threshold) -> None:
        self.append(threshold)


HEARD = Heard()


def forget_all(session: Session) -> None:
    """Deletes every row of the session's tenant."""
    for name in ("usage_records", "usage_budgets", "usage_reservations"):
        session.execute(Base.metadata.tables[name].delete())
