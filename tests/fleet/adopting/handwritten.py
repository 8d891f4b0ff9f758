"""A database whose tables have a tenant column that somebody wrote by hand, and the models it is to have afterwards."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.fleet.adopting import Found, Plan, value
from tenantry.models import Platform, TenantOwned


class Base(DeclarativeBase):
    """The models of the tracker as a Tenantry application has them."""


class Account(Platform, Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    slug: Mapped[str] = mapped_column(sa.String(40), unique=True)
    title: Mapped[str] = mapped_column(sa.String(40))


class Project(TenantOwned, Base):
    __tablename__ = "projects"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(10), unique=True)


class Task(TenantOwned, Base):
    __tablename__ = "tasks"
    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(sa.ForeignKey("projects.id"), index=True)
    text: Mapped[str] = mapped_column(sa.Text)


BY_NUMBER = Plan(
    tenants=Found(table="accounts", value="id", slug="slug", name="title"),
    otherwise=value("tenant_id"),
)
BY_SLUG = Plan(
    tenants=Found(table="accounts", value="slug", slug="slug", name="title"),
    otherwise=value("tenant_id"),
    identity="account",
)
TABLES = ("projects", "tasks")
ACCOUNTS = {1: "north", 2: "south", 7: "west"}


def load(engine: sa.Engine, *, by_slug: bool) -> None:
    """Makes the tables with rows; on PostgreSQL under policies that hide every row even from the owner."""
    kind: Any = sa.String(40) if by_slug else sa.Integer
    target = "accounts.slug" if by_slug else "accounts.id"
    old = sa.MetaData()
    sa.Table(
        "accounts",
        old,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("slug", sa.String(40), nullable=False, unique=True),
        sa.Column("title", sa.String(40), nullable=False),
    )
    sa.Table(
        "projects",
        old,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("tenant_id", kind, sa.ForeignKey(target), nullable=False),
        sa.Column("code", sa.String(10), nullable=False),
        sa.UniqueConstraint("tenant_id", "code"),
    )
    sa.Table(
        "tasks",
        old,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("tenant_id", kind, sa.ForeignKey(target), nullable=False, index=True),
        sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False, index=True),
        sa.Column("text", sa.Text, nullable=False),
    )
    old.create_all(engine)
    with engine.begin() as connection:
        for statement, rows in _rows(old, by_slug):
            connection.execute(statement, rows)
        if engine.dialect.name == "postgresql":
            for statement in policies("text" if by_slug else "int"):
                connection.exec_driver_sql(statement)


def policies(kind: str) -> list[str]:
    """Returns the wall that somebody wrote by hand."""
    test = f"(tenant_id = current_setting('app.tenant', true)::{kind})"
    statements = []
    for name in TABLES:
        statements += [
            f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY mine ON {name} AS PERMISSIVE FOR ALL TO PUBLIC USING {test} WITH CHECK {test}",
        ]
    return statements


def counted(*, by_slug: bool) -> dict[str, dict[str, int]]:
    """Returns how many rows each account has."""
    keys = {number: slug if by_slug else str(number) for number, slug in ACCOUNTS.items()}
    return {key: {"projects": number, "tasks": 3 * number} for number, key in keys.items()}


def _rows(old: sa.MetaData, by_slug: bool) -> list[tuple[Any, list[dict[str, Any]]]]:
    accounts = [{"id": number, "slug": slug, "title": slug.title()} for number, slug in ACCOUNTS.items()]
    projects: list[dict[str, Any]] = []
    tasks: list[dict[str, Any]] = []
    for number, slug in ACCOUNTS.items():
        tenant = slug if by_slug else number
        for index in range(number):
            # The same code in every account: unique among its own alone.
            projects.append({"tenant_id": tenant, "code": f"P{index}"})
            mine = {"tenant_id": tenant, "project_id": len(projects)}
            tasks += [{**mine, "text": f"{slug} {index} {step}"} for step in range(3)]
    tables = old.tables
    return [
        (tables[name].insert(), rows)
        for name, rows in (("accounts", accounts), ("projects", projects), ("tasks", tasks))
    ]
