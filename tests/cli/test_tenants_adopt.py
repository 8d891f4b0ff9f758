"""``tenantry tenants adopt``: an old SQLite file taken over stage by stage, and a customer's own file."""

from __future__ import annotations

import contextlib
import re
import sqlite3

import pytest

OLD = """
CREATE TABLE companies (code TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE tickets (id INTEGER PRIMARY KEY, subject TEXT NOT NULL, company TEXT REFERENCES companies (code));
INSERT INTO companies VALUES ('A', 'Acme'), ('G', 'Globex');
INSERT INTO tickets VALUES (1, 'Cannot log in', 'A'), (2, 'Slow', 'A'), (3, 'No ink', 'G');
"""
MODELS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.fleet.adopting import Found, Plan
from tenantry.models import TenantOwned, TenantRecord


class Base(DeclarativeBase):
    pass


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str]
    company: Mapped[str | None] = mapped_column(ForeignKey("companies.code"))


tenancy = Tenancy.from_env(models=Base)
plan = Plan(tenants=Found(table="companies", value="code", name="name"), identity="code")
"""


@pytest.fixture
def old(program):
    """An installation without tenants, and an old file beside it."""
    program.environment["TENANTRY_URL"] = f"sqlite:///{program.directory}/data"
    (program.directory / f"{program.module}.py").write_text(MODELS)
    with contextlib.closing(sqlite3.connect(program.directory / "old.sqlite3")) as connection:
        connection.executescript(OLD)
    assert program.call("install").code == 0
    return program


def adopt(old, verb: str, *arguments: str):
    where = ["--plan", f"{old.module}:plan", "--source", f"sqlite:///{old.directory}/old.sqlite3"]
    return old.call("tenants", "adopt", verb, *arguments, *where)


def test_an_old_file_becomes_a_file_for_each_customer(old):
    seen = adopt(old, "observe")
    assert seen.code == 0, seen
    assert re.search(r"tickets +│ 3 +│ 0 +│ 0", seen.out)
    assert "stage observe, with 2 tenants found. Next: tenantry tenants adopt advance fill" in seen.said
    assert old.call("tenants", "list", "--json").data == []
    filled = adopt(old, "advance", "filter", "--json")
    assert (filled.code, filled.data["stage"], filled.data["ok"]) == (0, "filter", True)
    assert adopt(old, "status", "--json").data["stage"] == "filter"
    refused = adopt(old, "advance")
    assert refused.code == 2
    assert "After stage enforce there is no way back." in refused.said
    ended = adopt(old, "advance", "enforce", "--yes")
    assert "Stage enforce: keys and wall hold for everybody." in ended.said
    told = "print(sorted(ticket.subject for ticket in db.scalars(select(Ticket))))"
    assert old.call("shell", "code:A", "-c", told).out == "['Cannot log in', 'Slow']\n"
    assert old.call("shell", "g", "-c", told).out == "['No ink']\n"
    assert adopt(old, "rollback", "--yes").code == 1


def test_what_stands_in_the_way_is_told_and_all_can_be_taken_back(old):
    with contextlib.closing(sqlite3.connect(old.directory / "old.sqlite3")) as connection:
        connection.execute("INSERT INTO tickets VALUES (4, 'whose?', NULL)")
        connection.commit()
    seen = adopt(old, "observe")
    assert seen.code == 1
    assert "What stands in the way" in seen.out
    assert "1 finding in the way." in seen.said
    assert adopt(old, "observe", "--json").data["tables"]["tickets"] == {"rows": 4, "without": 1, "differing": 0}
    adopt(old, "advance", "fill")
    with contextlib.closing(sqlite3.connect(old.directory / "old.sqlite3")) as connection:
        connection.execute("UPDATE tickets SET company = 'G' WHERE id = 4")
        connection.commit()
    assert adopt(old, "refill").code == 0
    back = adopt(old, "rollback", "--yes", "--json")
    assert (back.code, back.data["stage"]) == (0, "observe")
    assert old.call("tenants", "list", "--json").data == []


def test_a_customers_own_file_is_entered_as_it_stands(old):
    customers = old.directory / "acme.sqlite3"
    with contextlib.closing(sqlite3.connect(customers)) as connection:
        connection.executescript(OLD)
        connection.execute("DELETE FROM tickets WHERE company = 'G'")
        connection.execute("DELETE FROM companies WHERE code = 'G'")
        connection.commit()
    entered = old.call("tenants", "adopt", "register", "acme", f"sqlite:///{customers}", "--name", "Acme", "--json")
    assert entered.code == 0, entered
    assert (entered.data["slug"], entered.data["name"], entered.data["status"]) == ("acme", "Acme", "provisioning")
    seen = old.call("tenants", "adopt", "observe", "--tenant", "acme")
    assert seen.code == 0, seen
    assert old.call("tenants", "adopt", "advance", "--tenant", "acme", "--yes").code == 0
    told = "print(db.scalar(select(func.count()).select_from(Ticket)))"
    assert old.call("shell", "acme", "-c", told).out == "2\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["observe"], "An adoption has one plan, or one tenant."),
        (["observe", "--plan", "{module}:plan", "--tenant", "acme"], "An adoption has one plan, or one tenant."),
        (["observe", "--plan", "plan"], "does not have the form module:name"),
        (["observe", "--plan", "{module}:tenancy"], "is a Tenancy, not a Plan"),
        (["observe", "--tenant", "nobody"], "No tenant has the key"),
        (["advance", "further", "--plan", "{module}:plan"], "Invalid value"),
        (["register", "acme", "sqlite:///nowhere.sqlite3"], "There is no file"),
        (["register", "acme"], "Missing argument"),
    ],
)
def test_a_mistake_is_one_sentence(old, arguments, sentence):
    result = old.call("tenants", "adopt", *(argument.format(module=old.module) for argument in arguments))
    assert (result.code, result.out) == (2, "")
    assert sentence in result.said
    assert old.call("tenants", "list", "--json").data == []
