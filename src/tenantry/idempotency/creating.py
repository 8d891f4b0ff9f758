"""Rows made once per key, which they bear themselves for as long as they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, declared_attr, mapped_column
from sqlalchemy.orm.attributes import set_attribute

from tenantry.errors import ConfigurationError, IdempotencyConflict, IdempotencyInFlight
from tenantry.idempotency.claiming import Ask, typed
from tenantry.session.core import TenantSession

M = TypeVar("M")


class Idempotent:
    """``idempotency_key``, unique per tenant, and the digest of the payload that it came with."""

    if TYPE_CHECKING:
        idempotency_key: Mapped[str | None]
        idempotency_digest: Mapped[str | None]
    else:

        @declared_attr
        @classmethod
        def idempotency_key(cls):
            return mapped_column(String(255), unique=True, nullable=True, sort_order=80)

        @declared_attr
        @classmethod
        def idempotency_digest(cls):
            return mapped_column(String(64), nullable=True, sort_order=81)


def create_idempotent(session: TenantSession, model: type[M], values: Mapping[str, Any], *, key: str) -> tuple[M, bool]:
    """Returns the row that was made with this key, and whether this call made it; the caller commits.

    It waits for a transaction that is making the same one. The key counts as long as the row stands.

    Raises: IdempotencyConflict for other values, InvalidIdempotencyKey, PayloadRefused, ConfigurationError for a model
        that is not Idempotent, and IdempotencyInFlight where the transaction is too old to see the row.
    """
    if not issubclass(model, Idempotent):
        raise ConfigurationError(
            what=f"{model.__name__} has no place for an idempotency key.",
            fix=f"Declare it as class {model.__name__}(Idempotent, TenantOwned, Base).",
        )
    ask = Ask.of(key, scope="", payload=dict(values))
    with typed(ask):
        found = _find(session, model, ask)
        return (found, False) if found is not None else _make(session, model, values, ask)


def _make(session: TenantSession, model: type[M], values: Mapping[str, Any], ask: Ask) -> tuple[M, bool]:
    made = model(**values)
    # Not by the constructor: an SQLModel class passes over what is no field of it.
    set_attribute(made, "idempotency_key", ask.key)
    set_attribute(made, "idempotency_digest", ask.digest)
    try:
        with session.begin_nested():
            session.add(made)
            session.flush()
    except IntegrityError as error:
        found = _find(session, model, ask)
        if found is not None:
            return found, False
        if "idempotency_key" in str(error.orig):
            # Another's row stands in the way that this transaction's snapshot does not hold.
            raise IdempotencyInFlight(key=ask.key, retry_after=0.0) from error
        raise
    return made, True


def _find(session: TenantSession, model: type[M], ask: Ask) -> M | None:
    named: Any = model
    found = session.scalars(select(model).where(named.idempotency_key == ask.key)).one_or_none()
    if found is not None and getattr(found, "idempotency_digest", None) != ask.digest:
        raise IdempotencyConflict(key=ask.key)
    return found
