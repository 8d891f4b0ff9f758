"""The work that is timed, for a tenant's session and for a plain one with the filter written by hand."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bench.models import (
    PLAIN_PREBUILT_KEY,
    PLAIN_PREBUILT_LIST,
    PREBUILT_KEY,
    PREBUILT_LIST,
    PlainTicket,
    Ticket,
    row_id,
)

Work = Callable[[Session, uuid.UUID, int], Any]


def _get(session: Session, _: uuid.UUID, turn: int) -> Any:
    return session.get(Ticket, row_id(turn))


def _plain_get(session: Session, tenant: uuid.UUID, turn: int) -> Any:
    return session.get(PlainTicket, (tenant, row_id(turn)))


def _key(session: Session, _: uuid.UUID, turn: int) -> Any:
    return session.scalars(select(Ticket).where(Ticket.id == row_id(turn))).one()


def _plain_key(session: Session, tenant: uuid.UUID, turn: int) -> Any:
    found = select(PlainTicket).where(PlainTicket.tenant_id == tenant, PlainTicket.id == row_id(turn))
    return session.scalars(found).one()


def _prebuilt_key(session: Session, _: uuid.UUID, turn: int) -> Any:
    return session.scalars(PREBUILT_KEY, {"id": row_id(turn)}).one()


def _plain_prebuilt_key(session: Session, tenant: uuid.UUID, turn: int) -> Any:
    return session.scalars(PLAIN_PREBUILT_KEY, {"tenant": tenant, "id": row_id(turn)}).one()


def _list(session: Session, _: uuid.UUID, __: int) -> Any:
    return session.scalars(select(Ticket).order_by(Ticket.id).limit(50)).all()


def _plain_list(session: Session, tenant: uuid.UUID, _: int) -> Any:
    found = select(PlainTicket).where(PlainTicket.tenant_id == tenant).order_by(PlainTicket.id).limit(50)
    return session.scalars(found).all()


def _prebuilt_list(session: Session, _: uuid.UUID, __: int) -> Any:
    return session.scalars(PREBUILT_LIST).all()


def _plain_prebuilt_list(session: Session, tenant: uuid.UUID, _: int) -> Any:
    return session.scalars(PLAIN_PREBUILT_LIST, {"tenant": tenant}).all()


def _insert(session: Session, _: uuid.UUID, turn: int) -> Any:
    session.add(Ticket(subject="New", status="open", number=turn))
    session.commit()


def _plain_insert(session: Session, tenant: uuid.UUID, turn: int) -> Any:
    session.add(PlainTicket(tenant_id=tenant, subject="New", status="open", number=turn))
    session.commit()


# By name: what a plain session does, and what a tenant's does.
WORK: dict[str, tuple[Work, Work]] = {
    "read by key (session.get)": (_plain_get, _get),
    "read by key (select)": (_plain_key, _key),
    "read by key (select, prebuilt)": (_plain_prebuilt_key, _prebuilt_key),
    "list of 50": (_plain_list, _list),
    "list of 50 (prebuilt)": (_plain_prebuilt_list, _prebuilt_list),
    "insert and commit": (_plain_insert, _insert),
}
