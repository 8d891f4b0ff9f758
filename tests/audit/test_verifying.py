"""Nothing that was done to a chain goes unnoticed, and nothing is noticed where nothing was done."""

from __future__ import annotations

import datetime
import random
import re
import time
import tracemalloc
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from tenantry import Tenancy, Tenant
from tenantry.audit import CODES, AnchorFiles, Audit
from tenantry.audit.digests import Keys, content_digest, entry_digest

from .forging import MUTATIONS, Forged, Forger
from .models import Base

KEYS = {"2025": b"k" * 32}
BOTH = ["postgresql", "sqlite"]


@dataclass(frozen=True, slots=True)
class Chain:
    """One tenant's chain, and where a superuser finds its rows."""

    tenancy: Tenancy
    tenant: Tenant
    audit: Audit
    url: str

    def record(self, numbers: range, audit: Audit | None = None) -> None:
        """Records one entry for each number."""
        with self.tenancy.transaction(self.tenant) as session:
            for number in numbers:
                (audit or self.audit).record(
                    session,
                    event_type=f"invoice.{('sent', 'paid')[number % 2]}",
                    category="billing",
                    description=f"Invoice {number}",
                    resource=("invoice", number),
                    changes={"amount": {"before": None, "after": number / 8}},
                    details={"lines": [number, "ü", True]} if number % 3 else None,
                    actor=f"user-{number % 7}",
                )

    def fill(self, length: int) -> None:
        """Records *length* entries, and anchors the chain some entries before its end."""
        anchored = length - Forged.since_anchor
        for start in range(0, anchored, 500):
            self.record(range(start, min(start + 500, anchored)))
        self.audit.anchor(self.tenant)
        self.record(range(anchored, length))

    def codes(self, audit: Audit | None = None) -> set[str]:
        """Returns the codes of everything that is wrong."""
        return {finding.code for finding in (audit or self.audit).verify(self.tenant)}

    def forger(self, audit: Audit | None = None) -> Forger:
        return Forger(self.url, audit or self.audit, self.tenant)


class Chains:
    """A tenancy on each database, in which every test has a tenant of its own."""

    def __init__(self, url: str, directory: Path) -> None:
        self._directory = directory
        self._url = url
        self._tenancies = {
            "postgresql": Tenancy(url, models=Base),
            "sqlite": Tenancy(f"sqlite:///{directory}", models=Base),
        }
        for tenancy in self._tenancies.values():
            Audit(tenancy)
            tenancy.install(create_tables=True)

    def begin(self, database: str, **options: Any) -> Chain:
        """Returns the chain of a new tenant."""
        tenancy = self._tenancies[database]
        tenant = tenancy.tenants.create(f"acme-{uuid.uuid4().hex[:8]}")
        url = self._url if database == "postgresql" else f"sqlite:///{self._directory}/{tenant.physical}"
        return Chain(tenancy, tenant, Audit(tenancy, **options), url)

    def close(self) -> None:
        for tenancy in self._tenancies.values():
            tenancy.close()


@pytest.fixture(scope="module")
def chains(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chains]:
    with postgres.lend_database() as url:
        made = Chains(url, tmp_path_factory.mktemp("chains"))
        yield made
        made.close()


@pytest.fixture
def anchors(tmp_path: Path) -> AnchorFiles:
    return AnchorFiles(tmp_path / "anchors")


@pytest.mark.parametrize("database", BOTH)
def test_twelve_kinds_of_forgery_are_found(chains: Chains, database: str, anchors: AnchorFiles) -> None:
    chain = chains.begin(database, anchors=anchors)
    assert forge(chain, length=100, times=1) == Counter(dict.fromkeys(MUTATIONS, 1))


@pytest.mark.soak
@pytest.mark.parametrize("database", BOTH)
def test_six_hundred_forgeries_of_a_chain_of_ten_thousand_are_found_on_each_database(
    chains: Chains, database: str, anchors: AnchorFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    found = forge(chains.begin(database, anchors=anchors, anchor_every=10_000), length=10_000, times=50)
    with capsys.disabled():
        print(f"\n{database}: {found.total()} of 600 forgeries of 10,000 entries found, ", end="")
        print(f"{time.monotonic() - begun:.0f} s: {dict(found)}")
    assert found == Counter(dict.fromkeys(MUTATIONS, 50))


@pytest.mark.soak
@pytest.mark.parametrize("database", BOTH)
def test_a_long_chain_is_read_in_little_memory(
    chains: Chains, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chain, peaks = chains.begin(database), []
    for _ in range(2):
        for start in range(0, 5_000, 500):
            chain.record(range(start, start + 500))
        tracemalloc.start()
        assert chain.codes() == set()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    with capsys.disabled():
        print(f"\n{database}: 5,000 and 10,000 entries verified in {peaks[0]:,} and {peaks[1]:,} bytes at most")
    assert peaks[1] < 1.2 * peaks[0]


def forge(chain: Chain, *, length: int, times: int) -> Counter[str]:
    """Returns how many forgeries of each kind were found."""
    found: Counter[str] = Counter()
    chain.fill(length)
    with chain.forger() as forger:
        assert chain.codes() == set()
        for number in range(times):
            for name, mutate in MUTATIONS.items():
                with forger.writing() as connection:
                    mutate(forger, connection, random.Random(f"{name} {number}"))
                found[name] += bool(chain.audit.verify(chain.tenant, at_most=1))
                forger.restore()
        assert chain.codes() == set()
    return found


@pytest.mark.parametrize("database", BOTH)
def test_a_whole_chain_rewritten_without_the_key_is_found_without_anchors(chains: Chains, database: str) -> None:
    chain = chains.begin(database, keys=KEYS)
    chain.record(range(40))
    with chain.forger(Audit(chain.tenancy)) as forger:
        for first in (1, 20, 40):
            with forger.writing() as connection:
                forger.rewrite(connection, forger.rows(connection, first, 40), key_id="")
            assert "A008" in chain.codes()
            forger.restore()
    assert chain.codes(Audit(chain.tenancy, keys={"2025": b"x" * 32})) == {"A002"}
    assert chain.codes(Audit(chain.tenancy, keys={"2026": b"x" * 32})) == {"A008"}
    assert chain.codes() == set()


def test_keys_are_changed_without_breaking_the_chain(chains: Chains) -> None:
    chain = chains.begin("sqlite")
    chain.record(range(3))
    old = Audit(chain.tenancy, keys=KEYS)
    assert chain.codes(old) == {"A008"}
    chain.record(range(3), old)
    new = Audit(chain.tenancy, keys={**KEYS, "2026": b"n" * 32})
    chain.record(range(3), new)
    assert chain.codes(new) == set()
    with chain.tenancy.session(chain.tenant) as session:
        assert [entry.key_id for entry in new.entries(session)] == [""] * 3 + ["2025"] * 3 + ["2026"] * 3


@pytest.mark.parametrize("database", BOTH)
def test_every_finding_has_its_code(chains: Chains, database: str, anchors: AnchorFiles) -> None:
    """One forgery for each code, which names what is wrong, and whose chain it is."""
    chain = chains.begin(database, anchors=anchors, keys=KEYS)
    chain.fill(50)
    digest, gone = "f" * 64, dict.fromkeys(("salt", "description", "actor", "changes", "details", "resource_id"))
    with chain.forger() as forger:
        long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        forgeries: dict[str, Callable[[Connection], None]] = {
            "A001": lambda connection: forger.change(connection, 7, description="x"),
            "A002": lambda connection: forger.change(connection, 7, status="denied"),
            "A003": lambda connection: forger.cut(connection, 7, 7),
            "A004": lambda connection: forger.change(connection, 7, previous_digest=digest),
            "A005": lambda connection: forger.cut(connection, 1, 7),
            "A006": lambda connection: forger.cut(connection, 50, 50),
            "A007": lambda connection: forger.change(connection, 20, digest=digest),
            "A008": lambda connection: forger.change(connection, 7, key_id="2024"),
            "A009": lambda connection: forger.change(connection, 30, recorded_at=long_ago),
            "A010": lambda connection: forger.change(connection, 7, **gone),
        }
        assert forgeries.keys() == CODES.keys()
        for code, mutate in forgeries.items():
            with forger.writing() as connection:
                mutate(connection)
            findings = {finding.code: finding for finding in chain.audit.verify(chain.tenant)}
            assert code in findings, code
            assert chain.tenant.slug in findings[code].object
            forger.restore()
    assert chain.codes() == set()


def test_a_digest_is_over_every_field(chains: Chains) -> None:
    chain = chains.begin("sqlite")
    chain.record(range(2))
    with chain.tenancy.session(chain.tenant) as session:
        (_, entry) = chain.audit.entries(session)
    row = asdict(entry)

    def digest(**values: Any) -> str:
        changed = {**row, **values}
        whole = {**changed, "content_digest": content_digest(changed)}
        return entry_digest(Keys(), changed["tenant_id"], whole)

    assert digest() == entry.digest
    others = {
        "seq": 3,
        "id": uuid.uuid4(),
        "tenant_id": uuid.uuid4(),
        "recorded_at": datetime.datetime.now(datetime.UTC),
    }
    derived = {"content_digest", "digest", "key_id"}
    for name in row.keys() - derived:
        assert digest(**{name: others.get(name, "something else")}) != entry.digest, name
    # Nothing moves from one field into the next unnoticed.
    assert digest(event_type="invoice.paidb", category="illing") != digest(
        event_type="invoice.paid", category="billing"
    )
    assert digest(actor=None, impersonator="user-1") != digest(actor="user-1", impersonator=None)
    assert digest(actor="") != digest(actor=None)


def test_the_docs_list_the_codes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| (A\d+) \| (.+) \|$", page, re.MULTILINE)) == CODES


@pytest.mark.parametrize("database", BOTH)
def test_a_chain_that_is_gone_whole_is_missed(chains: Chains, database: str, anchors: AnchorFiles) -> None:
    chain = chains.begin(database, anchors=anchors)
    assert chain.audit.anchor(chain.tenant) is None
    chain.fill(40)
    with chain.forger() as forger:
        behead = forger.tables.heads.delete().where(forger.tables.own_head(chain.tenant.id))
        with forger.writing() as connection:
            forger.cut(connection, 1, 40)
        assert chain.codes() == {"A006", "A007"}
        with forger.writing() as connection:
            connection.execute(behead)
        assert chain.codes() == {"A007"}
        forger.restore()
        with forger.writing() as connection:
            connection.execute(behead)
        assert chain.codes() == {"A006"}


def test_another_tenants_entries_do_not_fit(chains: Chains) -> None:
    one, two = chains.begin("postgresql"), chains.begin("postgresql")
    for chain in (one, two):
        chain.record(range(1))
    with one.forger() as forger, forger.writing() as connection:
        for table in (forger.tables.entries, forger.tables.heads):
            connection.execute(table.delete().where(table.c.tenant_id == two.tenant.id))
            moved = table.update().where(table.c.tenant_id == one.tenant.id).values(tenant_id=two.tenant.id)
            connection.execute(moved)
    assert two.codes() == {"A002"}


NUMBERS = [0, -0.0, 1.0, 0.1, 1e16, 1e20, 1.7976931348623157e308, 5e-324, 123456789.123, 2**70, -1e-7]
WORDS = ["", "\x00", "ü𝄞", "\ud800", "a\r\nb\u2028", "'\"\\", "\u202e", "x" * 70_000]


@pytest.mark.parametrize("database", BOTH)
def test_numbers_and_texts_verify_whatever_the_database_makes_of_them(chains: Chains, database: str) -> None:
    chain = chains.begin(database)
    for value in (*NUMBERS, *WORDS):
        said = {"description": str(value), "details": {str(value): [value]}, "resource": ("x", value), "actor": value}
        with chain.tenancy.transaction(chain.tenant) as session:
            chain.audit.record(session, event_type="a.b", category="c", **said)
        assert chain.codes() == set(), value


def test_the_same_entry_has_the_same_digest_on_both_databases(chains: Chains) -> None:
    read = {}
    for database in BOTH:
        chain = chains.begin(database)
        said = {"n": NUMBERS, "w": WORDS, "ü": None, "b": {"z": 1, "a": 2.0}}
        with chain.tenancy.transaction(chain.tenant) as session:
            chain.audit.record(session, event_type="same", category="c", description="d", details=said)
        with chain.tenancy.session(chain.tenant) as session:
            read[database] = dict(session.execute(select(chain.audit.recorder.tables.entries)).mappings().one())
    # What differs by nature is made the same; what the databases gave back of the rest stays.
    own = ("id", "seq", "recorded_at", "salt", "previous_digest", "tenant_id")
    shell = {name: read["sqlite"][name] for name in own}
    rows = [{**row, **shell, "content_digest": content_digest({**row, **shell})} for row in read.values()]
    assert len({entry_digest(Keys(), row["tenant_id"], row) for row in rows}) == 1
