"""Amounts of money: Decimal in Python, NUMERIC(14, 6) on PostgreSQL, whole millionths on SQLite; never a float."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from sqlalchemy import BigInteger, Numeric
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

PLACES: Final = 6
SMALLEST: Final = Decimal(1).scaleb(-PLACES)
LARGEST: Final = Decimal(10) ** 8 - SMALLEST


class Money(TypeDecorator[Decimal]):
    """An amount with six decimals, kept and summed exactly on every database."""

    impl = Numeric(14, PLACES)
    cache_ok = True

    def __repr__(self) -> str:
        return "Money()"

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Returns NUMERIC(14, 6), and a whole number on SQLite, whose only fractions are floats."""
        chosen: TypeEngine[Any] = BigInteger() if dialect.name == "sqlite" else self.impl_instance
        return dialect.type_descriptor(chosen)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | int | None:
        """Returns the amount as the database keeps it.

        Raises: TypeError for anything but a Decimal, ValueError for more decimals than are kept.
        """
        if value is None:
            return None
        if not isinstance(value, Decimal):
            raise TypeError(f"{value!r} is a {type(value).__name__}; money is a Decimal.")
        if value != rounded(value):
            raise ValueError(f"{value} has more than {PLACES} decimals.")
        return int(value.scaleb(PLACES)) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Returns the amount as a Decimal."""
        if value is None:
            return None
        return Decimal(value).scaleb(-PLACES) if dialect.name == "sqlite" else Decimal(value)


def rounded(amount: Decimal) -> Decimal:
    """Returns the amount to the millionth, halves to the even side, so that many roundings do not add up."""
    return amount.quantize(SMALLEST, rounding=ROUND_HALF_EVEN)
