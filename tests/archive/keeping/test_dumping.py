"""A whole server dumped, lost, and restored; filtered logins, changed files and servers in use refused."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tenantry import Config, Tenancy
from tenantry.archive import dump_folders, dumping
from tenantry.archive.keys import KeyRing
from tenantry.archive.retention import Keep
from tenantry.embedded import PostgresServer
from tenantry.errors import DumpDamaged, DumpFailed, DumpRefused, ProgramMissing, ServerNotEmpty

from .conftest import Base, Ticket

ISOLATIONS = ("rows", "schema", "database")
RING = KeyRing({"one": b"1" * 32}, "one")


@pytest.fixture(scope="module")
def other_machine() -> Iterator[PostgresServer]:
    with PostgresServer(max_connections=40) as server:
        yield server


@pytest.fixture(scope="module")
def shop(postgres: Any) -> Iterator[Tenancy]:
    """A server with a tenant in each isolation, three tickets each."""
    config = Config(role_prefix=f"d{uuid.uuid4().hex[:8]}", demote=True)
    with postgres.lend_database() as url, contextlib.closing(Tenancy(url, models=Base, config=config)) as tenancy:
        tenancy.install(create_tables=True)
        fill(tenancy, ISOLATIONS)
        yield tenancy
        tenancy.tenants.erase("database", confirm="database")


def fill(tenancy: Tenancy, isolations: tuple[str, ...]) -> None:
    for isolation in isolations:
        tenancy.tenants.create(isolation, isolation=isolation)
        with tenancy.transaction(isolation) as db:
            db.add_all(Ticket(subject=f"{isolation} {number}") for number in range(3))


def counts(tenancy: Tenancy) -> dict[str, int]:
    found = {}
    for tenant in tenancy.tenants.list():
        with tenancy.session(tenant) as db:
            found[tenant.slug] = db.scalar(select(func.count()).select_from(Ticket))
    return found


@pytest.mark.ledger("S1-059")
@pytest.mark.soak
def test_a_lost_server_is_made_anew_from_its_dump(shop: Tenancy, other_machine: PostgresServer, tmp_path: Path) -> None:
    folder, made = dumping.dump(shop, tmp_path, ring=RING)
    assert dump_folders.listing(tmp_path) == [folder]
    assert len(made.files) == 2
    main = shop.servers.main.database
    url = f"{other_machine.url('postgres').rsplit('/', 1)[0]}/{main}"
    with contextlib.closing(Tenancy(url, models=Base, owner_url=url, config=shop.config)) as anew:
        restored = dumping.restore(anew, folder, ring=RING)
        assert restored == made
        anew.install()
        assert counts(anew) == counts(shop) == dict.fromkeys(ISOLATIONS, 3)
        assert anew.tenants.get("schema") == shop.tenants.get("schema")
        with pytest.raises(ServerNotEmpty):
            dumping.restore(anew, folder, ring=RING)
        assert counts(anew) == dict.fromkeys(ISOLATIONS, 3)


@pytest.mark.soak
def test_a_restore_that_fails_leaves_no_database(shop: Tenancy, other_machine: PostgresServer, tmp_path: Path) -> None:
    folder, made = dumping.dump(shop, tmp_path, ring=RING)
    short = folder / made.files[0].name
    short.write_bytes(short.read_bytes()[:-200])
    rows = {file.name: file.rows for file in made.files}
    files = tuple(dump_folders.described(folder, file.name, file.database, rows[file.name]) for file in made.files)
    facts = {name: getattr(made, name) for name in ("kind", "server", "version", "taken_at", "tables", "plain")}
    dump_folders.sign(folder, dump_folders.Dump(**facts, files=files), RING)
    name = f"shop_{uuid.uuid4().hex[:8]}"
    url = f"{other_machine.url('postgres').rsplit('/', 1)[0]}/{name}"
    own = made.files[1].database
    with (
        contextlib.closing(Tenancy(url, models=Base, owner_url=url, config=shop.config)) as anew,
        anew.servers.main.owner(action="x", database="postgres") as connection,
    ):
        connection.execute(f'DROP DATABASE IF EXISTS "{own}" WITH (FORCE)')
        with pytest.raises(DumpFailed, match="pg_restore stopped"):
            dumping.restore(anew, folder, ring=RING)
        left = {found for (found,) in connection.execute("SELECT datname FROM pg_database")}
    assert not left & {name, own}


@pytest.mark.ledger("S1-058")
def test_chosen_tables_as_sql_that_people_read(shop: Tenancy, tmp_path: Path) -> None:
    folder, made = dumping.dump(shop, tmp_path, ring=RING, tables=["tickets"], plain=True)
    (file,) = made.files
    assert file.rows == {"public.tickets": 3}
    text = gzip.decompress((folder / file.name).read_bytes()).decode()
    assert "rows 2" in text
    assert "tenantry.tenants" not in text
    with pytest.raises(DumpDamaged, match="plain SQL"):
        dumping.restore(shop, folder, ring=RING)


def test_a_login_that_walls_filter_dumps_nothing(shop: Tenancy, postgres: Any, tmp_path: Path) -> None:
    app = shop.create_login(name := f"filtered_{uuid.uuid4().hex[:8]}")
    filtered = Tenancy(app, models=Base, owner_url=app, config=shop.config)
    with contextlib.closing(filtered), pytest.raises(DumpRefused, match="row-level security hides rows"):
        dumping.dump(filtered, tmp_path, ring=RING)
    assert list(tmp_path.iterdir()) == []
    with postgres.admin() as connection:
        connection.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')


def test_no_program_no_dump(shop: Tenancy, tmp_path: Path) -> None:
    with pytest.raises(ProgramMissing, match="pg_dump"):
        dumping.dump(shop, tmp_path / "dumps", ring=RING, programs=tmp_path)
    assert list((tmp_path / "dumps").iterdir()) == []


def test_a_changed_dump_is_not_used(shop: Tenancy, tmp_path: Path) -> None:
    folder, made = dumping.dump(shop, tmp_path, ring=RING)
    with pytest.raises(DumpDamaged, match="no key of the ring"):
        dump_folders.read(folder, KeyRing({"two": b"2" * 32}, "two"))
    contents = folder / dump_folders.CONTENTS
    whole = contents.read_text()
    contents.write_text(whole.replace('"public.tickets": 3', '"public.tickets": 0'))
    with pytest.raises(DumpDamaged, match="no key of the ring"):
        dump_folders.read(folder, RING)
    contents.write_text(whole)
    assert dump_folders.read(folder, RING) == made
    data = bytearray((folder / made.files[1].name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / made.files[1].name).write_bytes(data)
    with pytest.raises(DumpDamaged, match="not what was written"):
        dump_folders.read(folder, RING)
    contents.unlink()
    assert dump_folders.listing(tmp_path) == []


def test_a_directory_of_files_is_dumped_while_it_is_written_to_and_made_anew(tmp_path: Path) -> None:
    with contextlib.closing(Tenancy(f"sqlite:///{tmp_path}/data", models=Base)) as tenancy:
        tenancy.install(create_tables=True)
        fill(tenancy, ("rows", "database"))
        with tenancy.session("database") as db:
            db.add(Ticket(subject="not committed"))
            db.flush()
            folder, made = dumping.dump(tenancy, tmp_path / "dumps", ring=RING)
        assert made.files[0].name == "catalog.sqlite3"
        with pytest.raises(ServerNotEmpty):
            dumping.restore(tenancy, folder, ring=RING)
    shutil.rmtree(tmp_path / "data")
    with contextlib.closing(Tenancy(f"sqlite:///{tmp_path}/data", models=Base)) as anew:
        dumping.restore(anew, folder, ring=RING)
        anew.install()
        assert counts(anew) == {"rows": 3, "database": 3}


def test_a_killed_dump_is_no_dump_and_the_next_one_clears_it_away(tmp_path: Path) -> None:
    begun = tmp_path / ".backup_20261122_030000.0123abcd.part"
    begun.mkdir()
    (begun / "shop.dump").write_text("half of it")
    assert dump_folders.listing(tmp_path) == []
    with contextlib.closing(Tenancy(f"sqlite:///{tmp_path}/data", models=Base)) as tenancy:
        tenancy.install(create_tables=True)
        with dump_folders.written(tmp_path, datetime(2026, 11, 1, tzinfo=UTC)) as beside:
            folder, _ = dumping.dump(tenancy, tmp_path, ring=RING)
            assert beside.part.exists()
    assert not begun.exists()
    assert dump_folders.listing(tmp_path) == [folder]


def test_two_of_one_second_are_two(tmp_path: Path) -> None:
    paths = []
    for _ in range(3):
        with dump_folders.written(tmp_path, datetime(2026, 11, 1, tzinfo=UTC)) as draft:
            (draft.part / dump_folders.CONTENTS).write_text("{}")
        paths.append(draft.path)
    assert [path.name for path in paths] == [f"backup_20261101_000000{number}" for number in ("", "_2", "_3")]
    assert sorted(dump_folders.listing(tmp_path)) == sorted(paths)
    assert len(dump_folders.prune(tmp_path, Keep(daily=1))) == 3
    assert len(dump_folders.listing(tmp_path)) == 1


@pytest.mark.ledger("S1-068")
def test_dumps_older_than_what_is_kept_go(tmp_path: Path) -> None:
    for day in range(1, 21):
        folder = tmp_path / f"backup_202611{day:02}_030000"
        folder.mkdir()
        (folder / dump_folders.CONTENTS).write_text("{}")
    (tmp_path / "backup_of_something_else").mkdir()
    foreseen = dump_folders.prune(tmp_path, Keep(daily=7), dry_run=True)
    assert sum(reason is None for reason in foreseen.values()) == 13
    assert len(dump_folders.listing(tmp_path)) == 20
    assert dump_folders.prune(tmp_path, Keep(daily=7)) == foreseen
    assert [path.name for path in dump_folders.listing(tmp_path)] == [
        f"backup_202611{day:02}_030000" for day in range(20, 13, -1)
    ]
    assert (tmp_path / "backup_of_something_else").exists()
