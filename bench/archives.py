"""One tenant of many in common tables, backed up and restored, beside bare COPY of the same rows; and the memory."""

from __future__ import annotations

import contextlib
import dataclasses
import decimal
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import ForeignKey, Numeric, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy, Tenant
from tenantry.archive.core import Archive
from tenantry.archive.keys import KeyRing
from tenantry.archive.libraries import zstd
from tenantry.archive.places import reading, writing
from tenantry.archive.stores import DirectoryStore
from tenantry.archive.writing_postgres import PostgresWriter
from tenantry.embedded import PostgresServer
from tenantry.ids import uuid7
from tenantry.models import JSONDocument, TenantOwned, TenantRecord, Timestamps

_NEIGHBOURS: Final = 9
_RING: Final = KeyRing({"bench": bytes(range(32))}, "bench")
_CHUNK: Final = 1 << 18

_ROWS: Final = """
insert into tickets (tenant_id, id, company_id, subject, status, price, notes, created_at, updated_at)
select %(tenant)s, ('01900000-' || lpad(to_hex(n / 65536), 4, '0') || '-7' || lpad(to_hex(n %% 4096), 3, '0')
                    || '-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       %(tenant)s, 'A ticket about ' || md5(n::text), 'open', n * 0.01, jsonb_build_object('number', n, 'of', 'many'),
       now(), now()
from generate_series(1, %(rows)s::int) n
"""


class Base(DeclarativeBase):
    """The models of a help desk."""


class Company(TenantRecord, Base):
    """The tenant itself, which each ticket refers to."""

    __tablename__ = "companies"

    name: Mapped[str]


class Ticket(Timestamps, TenantOwned, Base):
    """What is carried: a key, a reference, an index of its own, and some kinds of columns."""

    __tablename__ = "tickets"

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"))
    subject: Mapped[str] = mapped_column(Text, index=True)
    status: Mapped[str]
    price: Mapped[decimal.Decimal | None] = mapped_column(Numeric(12, 2))
    notes: Mapped[dict[str, Any] | None] = mapped_column(JSONDocument)


@dataclass(frozen=True, slots=True)
class _Ground:
    tenancy: Tenancy
    owner_url: str
    operator_url: str
    tenant: Tenant
    directory: Path

    @property
    def file(self) -> Path:
        return self.directory / "archive"


def report(rows: int, rounds: int, *, large: int) -> None:
    """Prints both directions beside COPY for a tenant of *rows* among ten such, then the memory for one of *large*."""
    with _ground(rows) as ground:
        _print(f"Backup of {rows:,} rows among {rows * (_NEIGHBOURS + 1):,}", _backups(ground), rounds)
        _print("Restore of the same rows, into the same tables", _restores(ground), rounds)
    with _ground(large, neighbours=0) as ground:
        for what, work in (("Backup", _back_up), ("Restore into a new tenant", _restore)):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seconds, megabytes = pool.apply(work, (ground.owner_url, ground.operator_url, ground.directory))
            print(f"\n{what}, {large:,} rows: {seconds:.1f} s, at most {megabytes:.0f} MB of memory.", flush=True)


@contextlib.contextmanager
def _ground(rows: int, *, neighbours: int = _NEIGHBOURS) -> Iterator[_Ground]:
    print(f"Making {neighbours + 1} tenants of {rows:,} rows ...", file=sys.stderr)
    with PostgresServer() as server, tempfile.TemporaryDirectory() as directory:
        owner_url = server.url("bench")
        first = Tenancy(owner_url, models=Base)
        first.install(create_tables=True)
        operator_url = first.create_login("bench_operator", role="operator")
        tenants = [first.tenants.create(f"tenant-{number}", record={"name": "A"}) for number in range(neighbours + 1)]
        first.close()
        with psycopg.connect(owner_url, autocommit=True) as owner:
            for tenant in tenants:
                owner.execute(_ROWS, {"tenant": tenant.id, "rows": rows})
            owner.execute("VACUUM ANALYZE")
        tenancy = Tenancy(owner_url, models=Base, operator_url=operator_url)
        try:
            yield _Ground(tenancy, owner_url, operator_url, tenants[neighbours // 2], Path(directory))
        finally:
            tenancy.close()


def _print(title: str, contestants: dict[str, Callable[[], float]], rounds: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, turn in contestants.items():
            took = turn()
            # The first round warms the server's buffers.
            if number:
                seconds[name].append(took)
    medians = {name: statistics.median(samples) for name, samples in seconds.items()}
    print(f"\n### {title} ({rounds} rounds)\n\n| contestant | median ms | ratio |\n| --- | ---: | ---: |")
    bare = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"| {name} | {median * 1000:.0f} | {median / bare:.2f} |", flush=True)


def _backups(ground: _Ground) -> dict[str, Callable[[], float]]:
    def bare() -> float:
        with _timed() as took, psycopg.connect(ground.owner_url) as connection, ground.file.open("wb") as out:
            for query in _queries(ground.tenant):
                compressor = zstd.ZstdCompressor(level=1)
                with connection.cursor().copy(query) as copy:
                    for line in copy:
                        out.write(compressor.compress(line))
                out.write(compressor.flush())
        return took()

    archive = _archive(ground.tenancy, ground.directory)

    def ours() -> float:
        with _timed() as took:
            archive.backup(ground.tenant)
        return took()

    return {"bare COPY (SELECT …) and zstd 1": bare, "Archive.backup: in order, with digests, signed": ours}


def _archive(tenancy: Tenancy, directory: Path) -> Archive:
    return Archive(tenancy, DirectoryStore(directory / "store"), keys=_RING)


def _queries(tenant: Tenant) -> list[str]:
    columns = {
        "companies": "id, name",
        "tickets": "id, company_id, subject, status, price, notes, created_at, updated_at",
    }
    return [
        f"COPY (SELECT {names} FROM {table} WHERE tenant_id = '{tenant.id}') TO STDOUT"
        for table, names in columns.items()
    ]


def _restores(ground: _Ground) -> dict[str, Callable[[], float]]:
    with reading(ground.tenancy, ground.tenant) as reader:
        held = {table.name: list(reader.rows(table)) for table in reader.tables}
        columns = {table.name: ", ".join(("tenant_id", *table.names)) for table in reader.tables}

    def bare() -> float:
        new = uuid7()
        lines = {name: [_given_to(new, ground.tenant, chunk) for chunk in chunks] for name, chunks in held.items()}
        with _timed() as took, psycopg.connect(ground.owner_url) as connection:
            for name, chunks in lines.items():
                with connection.cursor().copy(f"COPY {name} ({columns[name]}) FROM STDIN") as copy:
                    for chunk in chunks:
                        copy.write(chunk)
        _clear(ground, new)
        return took()

    def ours(*, copies: bool = True, compared: bool = False) -> float:
        place = dataclasses.replace(ground.tenant, id=uuid7())
        with _timed() as took, writing(ground.tenancy, place, as_tenant=ground.tenant.id) as writer:
            if not copies:
                _forbid_copy(writer)
            for name, chunks in held.items():
                writer.fill(name, chunks)
            writer.settle()
            for name in held if compared else ():
                writer.digest(name)
        _clear(ground, place.id)
        return took()

    return {
        "bare COPY FROM": bare,
        "the archive's rows": ours,
        "and read again, to compare digests": lambda: ours(compared=True),
        "by INSERT, where the operator has no BYPASSRLS": lambda: ours(copies=False),
    }


def _given_to(new: uuid.UUID, tenant: Tenant, chunk: bytes) -> bytes:
    lines = chunk.replace(str(tenant.id).encode(), str(new).encode()).split(b"\n")[:-1]
    return b"".join(b"%s\t%s\n" % (str(new).encode(), line) for line in lines)


def _forbid_copy(writer: Any) -> None:
    assert isinstance(writer, PostgresWriter)
    writer.abilities = dataclasses.replace(writer.abilities, copies=False)


def _clear(ground: _Ground, tenant: uuid.UUID) -> None:
    with psycopg.connect(ground.owner_url, autocommit=True) as owner:
        for table in ("tickets", "companies"):
            owner.execute(f"DELETE FROM {table} WHERE tenant_id = %s", (tenant,))
        owner.execute("VACUUM tickets")


@contextlib.contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    begun, ended = time.perf_counter(), list[float]()
    yield lambda: ended[0] - begun
    ended.append(time.perf_counter())


def _back_up(owner_url: str, operator_url: str, directory: Path) -> tuple[float, float]:
    return _measured(owner_url, operator_url, directory, lambda archive: archive.backup("tenant-0"))


def _restore(owner_url: str, operator_url: str, directory: Path) -> tuple[float, float]:
    return _measured(owner_url, operator_url, directory, lambda archive: archive.restore("tenant-0", into="again"))


def _measured(
    owner_url: str, operator_url: str, directory: Path, work: Callable[[Archive], object]
) -> tuple[float, float]:
    tenancy = Tenancy(owner_url, models=Base, operator_url=operator_url)
    begun = time.perf_counter()
    work(_archive(tenancy, directory))
    took = time.perf_counter() - begun
    tenancy.close()
    # In kilobytes, on Linux.
    return took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
