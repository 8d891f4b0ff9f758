"""Boards with cards: cards go with their board, by the database."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from tenantry import Tenancy
from tenantry.cache import Cache, Store
from tenantry.models import Shared, TenantOwned, references, tenant_table


class Base(DeclarativeBase):
    pass


board_tags = tenant_table("board_tags", Base.metadata, references("boards.id"), references("tags.id"))


class Tag(TenantOwned, Base):
    __tablename__ = "tags"

    word: Mapped[str] = mapped_column(String(20))


class Board(TenantOwned, Base):
    __tablename__ = "boards"

    title: Mapped[str] = mapped_column(String(50))
    cards: Mapped[list[Card]] = relationship(passive_deletes=True)
    tags: Mapped[list[Tag]] = relationship(secondary=board_tags)


class Card(TenantOwned, Base):
    __tablename__ = "cards"

    board_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("boards.id", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(String(50), default="")


class Currency(Shared, Base):
    __tablename__ = "currencies"

    code: Mapped[str] = mapped_column(String(3), primary_key=True)


class Caches:
    """The caches of one tenancy, by the name of the store."""

    def __init__(self, tenancy: Tenancy, stores: dict[str, Store]) -> None:
        self.tenancy = tenancy
        self.by_store = {name: Cache(tenancy, store, name=name) for name, store in stores.items()}
