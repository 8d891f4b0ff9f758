"""Nothing that was done to a chain goes unnoticed, and nothing is noticed where nothing was done."""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tenantry import Tenancy
from tenantry.audit import CODES, AnchorFiles, Audit
from tenantry.audit.digests import Keys, content_digest, entry_digest

from .forging import MUTATIONS, Forged, Forger
from .models import Base

KEYS = {"2025": b"k" * 32}
BOTH = ["postgresql", "sqlite"]


def fill(tenancy: Tenancy, audit: Audit, length: int) -> None:
    """Records *length* entries, and anchors the chain some entries before its end."""
    for start in range(0, length, 500):
        if start + 500 >= length:
            _record(tenancy, audit, range(start, length - Forged.since_anchor))
            audit.anchor("acme")
            start = length - Forged.since_anchor
        _record(tenancy, audit, range(start, min(start + 500, length)))


def _record(tenancy: Tenancy, audit: Audit, numbers: range) -> None:
    with tenancy.transaction("acme") as session:
        for number in numbers:
            audit.record(
                session,
                event_type=f"invoice.{('sent', 'paid')[number % 2]}",
                category="billing",
                description=f"Invoice {number}",
                resource=("invoice", number),
                changes={"amount": {"before": None, "after": number / 8}},
                details={"lines": [number, "ü", True]} if number % 3 else None,
                actor=f"user-{number % 7}",
            )


@contextmanager
def chain(postgres: Any, database: str, directory: Path, **options: Any) -> Iterator[tuple[Tenancy, Audit, str]]:
    """Opens a tenancy with one tenant, its audit, and the URL by which a superuser reaches the tenant's rows."""
    if database == "sqlite":
        tenancy = Tenancy(f"sqlite:///{directory}/data", models=Base)
        audit = Audit(tenancy, **options)
        tenancy.install()
        tenant = tenancy.tenants.create("acme")
        yield tenancy, audit, f"sqlite:///{directory}/data/{tenant.physical}"
        tenancy.close()
        return
    with postgres.lend_database() as url:
        tenancy = Tenancy(url, models=Base)
        audit = Audit(tenancy, **options)
        tenancy.install(create_tables=True)
        tenancy.tenants.create("acme")
        yield tenancy, audit, url
        tenancy.close()


@pytest.mark.parametrize("database", BOTH)
def test_twelve_kinds_of_forgery_are_found(postgres: Any, database: str, tmp_path: Path) -> None:
    found = forge(postgres, database, tmp_path, length=120, times=2)
    assert found == Counter(dict.fromkeys(MUTATIONS, 2))


@pytest.mark.soak
@pytest.mark.parametrize("database", BOTH)
def test_twelve_hundred_forgeries_of_a_chain_of_ten_thousand_are_found(
    postgres: Any, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    found = forge(postgres, database, tmp_path, length=10_000, times=100)
    with capsys.disabled():
        print(f"\n{database}: {found.total()} of 1200 forgeries of 10,000 entries found, ", end="")
        print(f"{time.monotonic() - begun:.0f} s: {dict(found)}")
    assert found == Counter(dict.fromkeys(MUTATIONS, 100))


def forge(postgres: Any, database: str, directory: Path, *, length: int, times: int) -> Counter[str]:
    """Returns how many forgeries of each kind were found."""
    found: Counter[str] = Counter()
    anchors = AnchorFiles(directory / "anchors")
    with chain(postgres, database, directory, anchors=anchors, anchor_every=length) as (tenancy, audit, url):
        fill(tenancy, audit, length)
        forger = Forger(url, audit, tenancy.tenants.get("acme"))
        assert audit.verify("acme") == []
        for number in range(times):
            for name, mutate in MUTATIONS.items():
                with forger.writing() as connection:
                    mutate(forger, connection, random.Random(f"{name} {number}"))
                found[name] += bool(audit.verify("acme", at_most=1))
                forger.restore()
        assert audit.verify("acme") == []
        forger.close()
    return found


@pytest.mark.parametrize("database", BOTH)
def test_a_whole_chain_rewritten_without_the_key_is_found_without_anchors(
    postgres: Any, database: str, tmp_path: Path
) -> None:
    with chain(postgres, database, tmp_path, keys=KEYS) as (tenancy, audit, url):
        _record(tenancy, audit, range(40))
        unsigned = Audit(tenancy)
        forger = Forger(url, unsigned, tenancy.tenants.get("acme"))
        for first, code in ((1, "A008"), (20, "A008"), (40, "A008")):
            with forger.writing() as connection:
                forger.rewrite(connection, forger.rows(connection, first, 40), key_id="")
            assert code in {finding.code for finding in audit.verify("acme")}
            forger.restore()
        wrong = Audit(tenancy, keys={"2025": b"x" * 32})
        assert {finding.code for finding in wrong.verify("acme")} == {"A002"}
        other = Audit(tenancy, keys={"2026": b"x" * 32})
        assert {finding.code for finding in other.verify("acme")} >= {"A008"}
        assert audit.verify("acme") == []
        forger.close()


def test_keys_are_changed_without_breaking_the_chain(tmp_path: Path) -> None:
    with chain(None, "sqlite", tmp_path) as (tenancy, audit, _):
        _record(tenancy, audit, range(3))
        old = Audit(tenancy, keys=KEYS)
        assert {finding.code for finding in old.verify("acme")} == {"A008"}
        _record(tenancy, old, range(3))
        new = Audit(tenancy, keys={**KEYS, "2026": b"n" * 32})
        _record(tenancy, new, range(3))
        assert new.verify("acme") == []
        with tenancy.session("acme") as session:
            assert [entry.key_id for entry in new.entries(session)] == [""] * 3 + ["2025"] * 3 + ["2026"] * 3


@pytest.mark.parametrize("database", BOTH)
def test_every_finding_has_its_code(postgres: Any, database: str, tmp_path: Path) -> None:
    """One forgery for each code, which names what is wrong, and the entry."""
    anchors = AnchorFiles(tmp_path / "anchors")
    with chain(postgres, database, tmp_path, anchors=anchors, keys=KEYS) as (tenancy, audit, url):
        fill(tenancy, audit, 50)
        forger = Forger(url, audit, tenancy.tenants.get("acme"))
        digest = "f" * 64

        def change(seq: int, **values: Any) -> Any:
            return lambda connection: forger.change(connection, seq, **values)

        forgeries = {
            "A001": change(7, description="x"),
            "A002": change(7, status="denied"),
            "A003": lambda connection: forger.cut(connection, 7, 7),
            "A004": change(7, previous_digest=digest),
            "A005": lambda connection: forger.cut(connection, 1, 7),
            "A006": lambda connection: forger.cut(connection, 50, 50),
            "A007": change(20, digest=digest),
            "A008": change(7, key_id="2024"),
            "A009": lambda connection: forger.change(
                connection, 30, recorded_at=forger.rows(connection, 1, 1)[0]["recorded_at"].replace(year=2020)
            ),
            "A010": change(7, salt=None, description=None, actor=None, changes=None, details=None, resource_id=None),
        }
        assert forgeries.keys() == CODES.keys()
        for code, mutate in forgeries.items():
            with forger.writing() as connection:
                mutate(connection)
            findings = {finding.code: finding for finding in audit.verify("acme")}
            assert code in findings, code
            assert "acme" in findings[code].object
            forger.restore()
        assert audit.verify("acme") == []
        forger.close()


@pytest.mark.parametrize("database", BOTH)
def test_a_chain_that_is_gone_whole_is_missed(postgres: Any, database: str, tmp_path: Path) -> None:
    anchors = AnchorFiles(tmp_path / "anchors")
    with chain(postgres, database, tmp_path, anchors=anchors) as (tenancy, audit, url):
        assert audit.anchor("acme") is None
        fill(tenancy, audit, 40)
        forger = Forger(url, audit, tenancy.tenants.get("acme"))
        with forger.writing() as connection:
            forger.cut(connection, 1, 40)
        assert {finding.code for finding in audit.verify("acme")} == {"A006", "A007"}
        with forger.writing() as connection:
            connection.execute(forger.tables.heads.delete())
        assert {finding.code for finding in audit.verify("acme")} == {"A007"}
        forger.restore()
        with forger.writing() as connection:
            connection.execute(forger.tables.heads.delete())
        assert {finding.code for finding in audit.verify("acme")} == {"A006"}
        forger.close()


def test_another_tenants_entry_does_not_fit(tmp_path: Path) -> None:
    with chain(None, "sqlite", tmp_path) as (tenancy, audit, _):
        tenancy.tenants.create("one", isolation="rows")
        tenancy.tenants.create("two", isolation="rows")
        for key in ("one", "two"):
            with tenancy.transaction(key) as session:
                audit.record(session, event_type="a.b", category="c", description="d")
        one, two = (tenancy.tenants.get(key).id.hex for key in ("one", "two"))
        with sqlite3.connect(tmp_path / "data" / "common.sqlite3") as connection:
            for (name,) in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
                connection.execute(f'drop trigger "{name}"')
            for table in ("audit_log__rows", "audit_heads__rows"):
                connection.execute(f"delete from {table} where tenant_id = ?", (two,))
                connection.execute(f"update {table} set tenant_id = ? where tenant_id = ?", (two, one))
        connection.close()
        assert {finding.code for finding in audit.verify("two")} == {"A002"}


@pytest.mark.parametrize(
    "number", [0, -0.0, 1.0, 0.1, 1e16, 1e20, 1.7976931348623157e308, 5e-324, 123456789.123, 2**70, -1e-7]
)
@pytest.mark.parametrize("database", BOTH)
def test_numbers_verify_whatever_the_database_makes_of_them(
    shared_chains: dict[str, tuple[Tenancy, Audit]], database: str, number: float
) -> None:
    tenancy, audit = shared_chains[database]
    with tenancy.transaction("acme") as session:
        audit.record(session, event_type="a.b", category="c", description="d", details={"n": number, "list": [number]})
    assert audit.verify("acme") == []


@pytest.mark.parametrize("words", ["", "\x00", "ü𝄞", "\ud800", "a\r\nb\u2028", "'\"\\", "\u202e", "x" * 70_000])
@pytest.mark.parametrize("database", BOTH)
def test_texts_verify_whatever_they_hold(
    shared_chains: dict[str, tuple[Tenancy, Audit]], database: str, words: str
) -> None:
    tenancy, audit = shared_chains[database]
    said = {"description": words, "details": {words: [words]}, "resource": ("x", words), "actor": words}
    with tenancy.transaction("acme") as session:
        audit.record(session, event_type="a.b", category="c", **said)
    assert audit.verify("acme") == []


@pytest.fixture(scope="module")
def shared_chains(
    postgres: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[Tenancy, Audit]]]:
    directory = tmp_path_factory.mktemp("chains")
    with chain(postgres, "postgresql", directory) as one, chain(postgres, "sqlite", directory) as other:
        yield {"postgresql": one[:2], "sqlite": other[:2]}


def test_the_same_entry_has_the_same_digest_on_both_databases(
    shared_chains: dict[str, tuple[Tenancy, Audit]],
) -> None:
    read = {}
    for database, (tenancy, audit) in shared_chains.items():
        with tenancy.transaction("acme") as session:
            said = {"n": [1e20, 0.1, -0.0, 2**70], "ü": None, "b": {"z": 1, "a": 2.0}}
            audit.record(session, event_type="same", category="c", description="d", details=said)
        with tenancy.session("acme") as session:
            table = audit.recorder.tables.entries
            read[database] = dict(session.execute(select(table).where(table.c.event_type == "same")).mappings().one())
    # What differs by nature is made the same; what the databases gave back of the rest stays.
    shell = {
        name: read["sqlite"][name] for name in ("id", "seq", "recorded_at", "salt", "previous_digest", "tenant_id")
    }
    rows = [{**row, **shell, "content_digest": content_digest({**row, **shell})} for row in read.values()]
    assert len({entry_digest(Keys(), row["tenant_id"], row) for row in rows}) == 1
