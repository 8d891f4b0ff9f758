"""Rows with texts, and what one tenancy has of the room."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.models import TenantOwned
from tenantry.search import Search
from tenantry.settings import Config

CONFIG = Config(extensions=("btree_gin", "pg_trgm"))


class Base(DeclarativeBase):
    pass


class Paper(TenantOwned, Base):
    __tablename__ = "papers"

    title: Mapped[str] = mapped_column(String(200))
    content: Mapped[str | None]
    stars: Mapped[int] = mapped_column(default=0)


class Remark(TenantOwned, Base):
    """One whose key is a number, and whose names must be quoted."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column("order")


class Room:
    """The searches of one tenancy."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy
        self.papers = Search(tenancy, Paper, columns=["title", "content"])
        self.remarks = Search(tenancy, Remark, columns=["order"], language="english")


PAPERS = (
    ("The invoice is wrong", "the sum of the invoice differs from the order, and the invoice is late"),
    ("Printer out of paper", "there is no paper in the printer of the second floor"),
    ("A paper on owls", "owls hunt at night; 100% of them"),
    ("Nobody can log in", None),
)


def papers(mark: str) -> list[Paper]:
    """Returns new rows; a neighbour's bear a mark, and the same words beside it."""
    return [
        Paper(title=f"{mark}{title}", content=content, stars=stars) for stars, (title, content) in enumerate(PAPERS)
    ]
