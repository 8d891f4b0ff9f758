"""A tenant backed up and restored: to its own place, or to a new tenant in any other kind of place; all or nothing."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import DBAPIError

from tenantry import Tenancy, Tenant
from tenantry.archive import Archive
from tenantry.archive.erasing import Erasing
from tenantry.archive.places import reading
from tenantry.catalog import operations
from tenantry.errors import (
    ArchiveDamaged,
    ArchiveError,
    ArchiveOfAnother,
    ArchiveUnknown,
    NoArchive,
    OperationInProgress,
    PlaceNotEmpty,
    RestoreRefused,
    RestoreUnequal,
    TenantExists,
    TenantNotFound,
)
from tenantry.events import Step, listen
from tenantry.isolation import fencing

from .houses import PLACES, RING, House, tenancy_audit
from .models import Base, Company, Event, Team, Ticket

HERE = list(PLACES)
# A round through every kind of place; the soak goes from each to each.
ROUND = ["rows", "file", "schema", "common file", "database", "rows"]


def change(house: House, tenant: Tenant) -> None:
    """Does to a tenant's rows what a restore has to undo: adds, changes, removes."""
    with house.tenancy.transaction(tenant) as db:
        db.execute(delete(Ticket).where(Ticket.subject == "plain"))
        db.scalars(select(Team)).first().name = "renamed"
        db.add(Event(what="later"))
    house.fill(tenant, rows=2)


def digests(house: House, tenant: Tenant, *, as_tenant: uuid.UUID | None = None) -> dict[str, Any]:
    """Returns what each table comes to, without the audit's, which a restore adds to."""
    with reading(house.tenancy, tenant, as_tenant=as_tenant) as reader:
        return {table.name: reader.digest(table) for table in reader.tables if not table.name.startswith("audit")}


@pytest.mark.parametrize("place", HERE)
def test_a_tenant_gets_its_rows_back_in_place(house: House, place: str) -> None:
    archive, near = house.archive(), house.make(place)
    # Elsewhere no neighbour is near.
    far = house.make(place) if place in ("rows", "common file") else None
    before, beside = house.dump(near), far and house.dump(far)
    entries = audit_entries(house, near)
    backup = archive.backup(near)
    change(house, near)
    changed = house.dump(near)
    assert changed != before
    restored = archive.restore(near, in_place=True)
    assert house.dump(near) == before
    assert (far and house.dump(far)) == beside
    assert restored.archive == backup.name
    assert restored.rows["tickets"] == 10
    # What it replaced was kept, and comes back the same way.
    assert restored.kept is not None
    archive.restore(near, restored.kept, in_place=True, keep=False)
    assert house.dump(near) == changed
    assert house.audit.verify(near) == []
    assert audit_entries(house, near) == entries + 2
    with house.tenancy.transaction(near) as db:
        db.add(Ticket(subject="after", team_id=db.scalars(select(Team.id)).first()))
    assert house.scratches() == set()
    assert archive.status() == []
    house.drop(near, *filter(None, [far]))


def audit_entries(house: House, tenant: Tenant) -> int:
    with house.tenancy.session(tenant) as db:
        return len(house.audit.entries(db))


def carry(house: House, source: Tenant, place: str, *, encrypt: bool = False) -> Tenant:
    """Restores a tenant to a new one in another kind of place, and says that both have the same."""
    archive = house.archive(encrypt=encrypt)
    archive.backup(source)
    server, isolation = PLACES[place]
    slug = f"n-{uuid.uuid4().hex[:12]}"
    made = archive.restore(source, into=slug, server=server, isolation=isolation).tenant
    assert (made.slug, made.server, made.isolation) == (slug, server, isolation)
    assert house.dump(made) == house.dump(source)
    assert digests(house, made, as_tenant=source.id) == digests(house, source)
    assert house.audit.verify(made) == []
    with house.tenancy.session(made) as db:
        assert db.scalars(select(Company.id)).one() == made.id
    return made


def test_a_tenant_goes_round_through_every_kind_of_place(house: House) -> None:
    first = house.make(ROUND[0])
    bystander, beside = house.make("rows"), None
    beside = house.dump(bystander)
    tenants = [first]
    for number, place in enumerate(ROUND[1:]):
        tenants.append(carry(house, tenants[-1], place, encrypt=bool(number % 2)))
    assert house.dump(tenants[-1]) == house.dump(first)
    assert house.dump(bystander) == beside
    # Numbers go on behind the highest, and the chain of each audit is the new tenant's own.
    for tenant in tenants:
        house.fill(tenant, rows=1)
        with house.tenancy.session(tenant) as db:
            assert db.scalar(select(func.max(Ticket.id))) > 10
        assert house.audit.verify(tenant) == []
    house.drop(*tenants, bystander)


@pytest.mark.soak
def test_from_every_kind_of_place_to_every_kind(house: House) -> None:
    for source in PLACES:
        tenant = house.make(source)
        for place in PLACES:
            there = carry(house, tenant, place)
            back = carry(house, there, source)
            house.drop(there, back)
        house.drop(tenant)
    print(f"\n{len(PLACES) ** 2} pairs, there and back: digests equal")


def test_an_empty_place_is_filled_and_a_full_one_refused(house: House) -> None:
    archive, tenant = house.archive(), house.make("schema")
    before = house.dump(tenant)
    archive.backup(tenant)
    with pytest.raises(PlaceNotEmpty, match="10 of tickets"):
        archive.restore(tenant)
    assert house.dump(tenant) == before
    strategy = house.tenancy.servers.strategy_of(tenant)
    strategy.drop(tenant.id, force=True)
    assert archive.restore(tenant).kept is None
    assert house.dump(tenant) == before
    assert archive.status() == []
    house.drop(tenant)


def test_a_tenant_whose_place_is_gone_comes_back_elsewhere(house: House) -> None:
    archive, lost, stranded = house.archive(), house.make("schema"), house.make("file")
    wanted = {tenant.id: house.dump(tenant) for tenant in (lost, stranded)}
    for tenant in (lost, stranded):
        archive.backup(tenant)
    with pytest.raises(RestoreRefused, match="has its place"):
        archive.restore(lost, isolation="rows")
    house.tenancy.servers.strategy_of(lost).drop(lost.id, force=True)
    found = archive.restore(lost, isolation="rows").tenant
    assert (found.id, found.isolation, found.epoch) == (lost.id, "rows", lost.epoch + 1)
    # A server that does not answer may answer others; one that is not known any more answers nobody.
    silent = "postgresql://nobody@127.0.0.1:1/nothing"
    with closing(Tenancy(house.job["url"], models=Base, **house.job["logins"])) as astray:
        tenancy_audit(astray, house.directory)
        astray.servers.add("files", silent, owner_url=silent)
        with pytest.raises(RestoreRefused, match="does not answer"):
            Archive(astray, archive.store, keys=RING).restore(stranded, server="main")
    with closing(Tenancy(house.job["url"], models=Base, **house.job["logins"])) as without:
        tenancy_audit(without, house.directory)
        moved = Archive(without, archive.store, keys=RING).restore(stranded, server="main", isolation="database").tenant
    house.tenancy.router.clear()
    assert (moved.server, moved.isolation) == ("main", "database")
    for tenant in (lost, stranded):
        assert house.dump(tenant) == wanted[tenant.id]
        assert house.audit.verify(tenant) == []
    assert archive.status() == []
    house.drop(house.tenancy.tenants.get(lost.id), house.tenancy.tenants.get(stranded.id))
    (house.directory / "files" / stranded.physical).unlink()


def test_before_a_time_means_the_newest_until_then(house: House) -> None:
    archive, tenant = house.archive(), house.make("file")
    first = archive.backup(tenant)
    change(house, tenant)
    second = archive.backup(tenant)
    between = first.taken_at + (second.taken_at - first.taken_at) / 2
    assert archive.restore(tenant, f"before:{between.isoformat()}", in_place=True, keep=False).archive == first.name
    assert archive.restore(tenant, "latest", in_place=True, keep=False).archive == second.name
    with pytest.raises(NoArchive, match="from before"):
        archive.restore(tenant, f"before:{first.taken_at - datetime.timedelta(days=1):%Y-%m-%d}", in_place=True)
    house.drop(tenant)


def test_an_archive_goes_to_no_other_tenant(house: House) -> None:
    archive, near, far = house.archive(), house.make("rows"), house.make("rows")
    name, beside = archive.backup(near).name, house.dump(far)
    for attempt in ({"in_place": True}, {"into": "stolen"}, {}):
        with pytest.raises(ArchiveOfAnother):
            archive.restore(far, name, **attempt)
    with pytest.raises(NoArchive):
        archive.restore(far, in_place=True)
    with pytest.raises(TenantExists):
        archive.restore(near, name, into=far.slug)
    with pytest.raises(RestoreRefused, match="into="):
        archive.restore(near, name, isolation="schema")
    with pytest.raises(TenantNotFound):
        archive.restore("nobody", name)
    assert house.dump(far) == beside
    assert house.scratches() == set()
    house.drop(near, far)


def test_an_archive_from_elsewhere_becomes_a_tenant_here(house: House, tmp_path: Path) -> None:
    there, here, tenant = house.archive(), house.archive(), house.make("common file")
    before, backup = house.dump(tenant), there.backup(tenant, note="for the auditors")
    path = tmp_path / "sent"
    with there.store.get(backup.name) as file:
        path.write_bytes(file.read())
    imported = here.import_(path)
    assert (imported.name, imported.size, imported.rows) == (backup.name, backup.size, backup.rows)
    made = here.restore(tenant, into="came-by-mail", server="main", isolation="schema").tenant
    assert house.dump(made) == before
    # From the file itself, too.
    archive = house.archive()
    archive.restore(tenant, path, in_place=True, keep=False)
    with pytest.raises(ArchiveUnknown):
        archive.restore(tenant, tmp_path / "nothing", in_place=True)
    with pytest.raises(ArchiveUnknown):
        here.import_(tmp_path / "nothing")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArchiveDamaged):
        here.import_(path)
    house.drop(tenant, made)


def test_a_verification_is_recorded_and_a_diff_says_what_changed(house: House) -> None:
    for place in ("rows", "common file"):
        archive, tenant = house.archive(), house.make(place)
        backup = archive.backup(tenant)
        verified = archive.verify(backup.name)
        assert verified.rows == backup.detail["tables"]
        assert not archive.diff(tenant)
        change(house, tenant)
        found = {each.table: each for each in archive.diff(tenant).tables}
        assert (found["tickets"].only_archived, found["tickets"].only_live, found["tickets"].changed) == (1, 2, 0)
        assert (found["teams"].changed, found["events"].only_live) == (1, 4)
        assert sorted(example[0] for example in found["tickets"].examples) == ["+", "+", "-"]
        assert "companies" not in found
        assert house.scratches() == set()
        house.drop(tenant)


def test_the_same_awaited(house: House) -> None:
    archive, tenant = house.archive(), house.make("file")
    before = house.dump(tenant)

    async def use() -> None:
        backup = await archive.aio.backup(tenant)
        await archive.aio.verify(backup.name)
        change(house, tenant)
        assert await archive.aio.diff(tenant)
        await archive.aio.restore(tenant, in_place=True)
        assert await archive.aio.status() == []

    asyncio.run(use())
    assert house.dump(tenant) == before
    house.drop(tenant)


@pytest.mark.parametrize("place", ["rows", "file"])
def test_what_fails_half_way_leaves_everything_as_it_was(house: House, place: str) -> None:
    """The last table refuses a row: nothing of the others stays, in place or anew, and neither fence nor tenant."""
    archive, tenant = house.archive(), house.make(place)
    archive.backup(tenant)
    change(house, tenant)
    before, slug = house.dump(tenant), f"n-{uuid.uuid4().hex[:12]}"
    with planted_refusal(house, tenant), pytest.raises(ArchiveError, match="planted"):
        archive.restore(tenant, in_place=True)
    assert house.dump(tenant) == before
    assert fencing.standing(house.tenancy.servers.get(tenant.server), tenant) == []
    if place == "rows":
        with planted_refusal(house, None), pytest.raises(ArchiveError, match="planted"):
            archive.restore(tenant, into=slug)
        with pytest.raises(TenantNotFound):
            house.tenancy.tenants.get(slug)
    assert archive.status() == []
    assert house.scratches() == set()
    archive.restore(tenant, in_place=True)
    house.drop(tenant)


@contextmanager
def planted_refusal(house: House, tenant: Tenant | None) -> Iterator[None]:
    """Has the table of events refuse every row of a tenant, or of everybody."""
    if tenant is not None and tenant.server == "files":
        server: Any = house.tenancy.servers.get("files")
        with server.connection(tenant.physical) as connection:
            refusal = "CREATE TRIGGER planted BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'planted'); END"
            connection.exec_driver_sql(refusal)
        yield
        with server.connection(tenant.physical) as connection:
            connection.exec_driver_sql("DROP TRIGGER planted")
        return
    whose = f"WHEN (NEW.tenant_id = '{tenant.id}')" if tenant else ""
    with planted_trigger(house, "RAISE EXCEPTION 'planted' USING ERRCODE = '23514'", whose):
        yield


@contextmanager
def planted_trigger(house: House, act: str, whose: str) -> Iterator[None]:
    """Has PostgreSQL's common table of events do something before each row that is inserted."""
    body = f"BEGIN {act}; RETURN NEW; END"
    with house.postgres.admin(house.database) as connection:
        connection.execute(f"CREATE FUNCTION public.planted() RETURNS trigger LANGUAGE plpgsql AS $b${body}$b$")
        connection.execute(
            f"CREATE TRIGGER planted BEFORE INSERT ON events FOR EACH ROW {whose} EXECUTE FUNCTION public.planted()"
        )
        yield
        connection.execute("DROP FUNCTION public.planted() CASCADE")


def test_what_does_not_come_to_what_the_archive_says_is_not_restored(house: House) -> None:
    """A trigger of somebody's changes each row on its way in: counts are right, and no error is raised."""
    archive, tenant = house.archive(), house.make("rows")
    name = archive.backup(tenant).name
    change(house, tenant)
    before = house.dump(tenant)
    with planted_trigger(house, "NEW.what := 'altered'", ""):
        for where in ({"in_place": True}, {"into": f"n-{uuid.uuid4().hex[:12]}"}):
            with pytest.raises(RestoreUnequal, match="rows of events"):
                archive.restore(tenant, name, **where)
    assert house.dump(tenant) == before
    assert archive.status() == []
    house.drop(tenant)


@contextmanager
def at_step(name: str, act: Callable[[], None]) -> Iterator[None]:
    """Does something right before the first step of that name."""
    acts = [act]

    def hear(step: Step) -> None:
        if (step.operation, step.name) == ("restore", name) and acts:
            acts.pop()()

    stop = listen(hear)
    try:
        yield
    finally:
        stop()


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("place", ["rows", "schema", "file", "common file"])
def test_what_is_replaced_is_kept_to_the_last_row(house: House, place: str) -> None:
    """Somebody writes between the backup of what is there and the moment when it is replaced."""
    archive, tenant = house.archive(), house.make(place)
    archive.backup(tenant)

    def write() -> None:
        with house.tenancy.transaction(tenant) as db:
            db.add(Event(what="at the last moment"))

    with at_step("replace", write):
        kept = archive.restore(tenant, in_place=True).kept
    assert kept is not None
    archive.restore(tenant, kept, in_place=True, keep=False)
    assert "at the last moment" in [event[-1] for event in house.dump(tenant)["events"]]
    house.drop(tenant)


@pytest.mark.parametrize(
    ("place", "step"),
    [("schema", "fence"), ("rows", "replace table"), ("file", "commit"), ("schema", "lift"), ("file", "lift")],
)
def test_an_interrupted_restore_was_done_or_was_not(house: House, place: str, step: str) -> None:
    archive, tenant = house.archive(), house.make(place)
    archive.backup(tenant)
    wanted = house.dump(tenant)
    change(house, tenant)
    before = house.dump(tenant)
    with at_step(step, interrupt), pytest.raises(KeyboardInterrupt):
        archive.restore(tenant, in_place=True, keep=False)
    if step == "lift":
        # It is committed: what is left to do is done by whoever resumes it.
        (left,) = archive.status()
        with pytest.raises(RestoreRefused, match="it was done"):
            archive.rollback(left.id)
        assert archive.resume(left.id).rows["tickets"] == 10
    assert house.dump(tenant) == (wanted if step == "lift" else before)
    assert archive.status() == []
    assert fencing.standing(house.tenancy.servers.get(tenant.server), tenant) == []
    house.drop(tenant)


def test_a_connection_lost_before_the_commit_changes_nothing(house: House) -> None:
    archive, tenant = house.archive(), house.make("rows")
    archive.backup(tenant)
    change(house, tenant)
    before = house.dump(tenant)

    def cut_off() -> None:
        with house.postgres.admin(house.database) as connection:
            working = "state = 'idle in transaction' AND backend_xid IS NOT NULL AND datname = current_database()"
            connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {working}")

    with at_step("commit", cut_off), pytest.raises(DBAPIError):
        archive.restore(tenant, in_place=True, keep=False)
    assert house.dump(tenant) == before
    assert archive.status() == []
    archive.restore(tenant, in_place=True)
    house.drop(tenant)


def test_one_restore_at_a_time(house: House) -> None:
    archive, tenant = house.archive(), house.make("file")
    archive.backup(tenant)
    with house.tenancy.catalog("testing") as connection:
        begun = operations.begin(connection, operations.MOVE, tenant.id, step="copy")
    with pytest.raises(OperationInProgress):
        archive.restore(tenant, in_place=True)
    with house.tenancy.catalog("testing") as connection:
        operations.forget(connection, begun.id)
    archive.restore(tenant, in_place=True)
    house.drop(tenant)


def test_a_restored_chain_is_told_from_one_that_was_cut(house: House) -> None:
    """A restore excuses the anchors of the entries that it replaced, and no others."""
    archive, tenant = house.archive(), house.make("rows")
    archive.backup(tenant)
    house.fill(tenant, rows=1)
    house.audit.anchor(tenant)
    archive.restore(tenant, in_place=True, keep=False)
    assert house.audit.verify(tenant) == []
    house.fill(tenant, rows=1)
    house.fill(tenant, rows=1)
    house.audit.anchor(tenant)
    assert house.audit.verify(tenant) == []
    # An older state again, taken before the first restore: what was anchored since is of entries that went.
    archive.restore(tenant, in_place=True, keep=False)
    assert house.audit.verify(tenant) == []
    cut(house, tenant)
    assert {finding.code for finding in house.audit.verify(tenant)} == {"A007"}
    house.drop(tenant)


def test_an_audit_that_cannot_tell_of_a_restore_is_missed(house: House) -> None:
    archive, tenant = house.archive(), house.make("file")
    archive.backup(tenant)
    with closing(Tenancy(house.job["url"], models=Base, **house.job["logins"])) as without:
        without.servers.add("files", f"sqlite:///{house.directory / 'files'}")
        with pytest.raises(RestoreRefused, match="audit_log"):
            Archive(without, archive.store, keys=RING).restore(tenant, in_place=True, keep=False)
    assert archive.status() == []
    house.drop(tenant)


def cut(house: House, tenant: Tenant) -> None:
    """Cuts the entry of the restore off, as a superuser who wants it forgotten would."""
    mine = f"tenant_id = '{tenant.id}'"
    with house.postgres.admin(house.database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(f"DELETE FROM audit_log WHERE {mine} AND event_type = 'audit.restored'")
        last = f"SELECT seq, digest, recorded_at FROM audit_log WHERE {mine} ORDER BY seq DESC LIMIT 1"
        connection.execute(f"UPDATE audit_heads SET (seq, digest, recorded_at) = ({last}) WHERE {mine}")


@pytest.mark.parametrize("place", ["rows", "file"])
def test_who_was_erased_does_not_come_back(house: House, place: str, tmp_path: Path) -> None:
    """Somebody has kept an archive elsewhere: its rows come back, but not the person's."""
    archive, tenant, path = house.archive(), house.make(place), tmp_path / "kept"
    before = house.dump(tenant)
    with house.tenancy.transaction(tenant) as db:
        team = db.scalars(select(Team.id)).first()
        db.add(Ticket(subject="from ann", team_id=team, requester="ann@example.com"))
    with archive.store.get(archive.backup(tenant).name) as file:
        path.write_bytes(file.read())
    Erasing(archive).person(tenant, "Ann@Example.com")
    assert house.dump(tenant) == before
    archive.restore(tenant, path, in_place=True)
    assert house.dump(tenant) == before
    made = archive.restore(tenant, path, into=f"n-{uuid.uuid4().hex[:12]}").tenant
    assert house.dump(made) == before
    assert house.audit.verify(tenant) == house.audit.verify(made) == []
    house.drop(tenant, made)


def test_who_was_suspended_is_restored_in_place(house: House) -> None:
    archive, tenant = house.archive(), house.make("schema")
    before = house.dump(tenant)
    archive.backup(tenant)
    change(house, tenant)
    house.tenancy.tenants.suspend(tenant)
    archive.restore(tenant, in_place=True)
    house.tenancy.tenants.resume(tenant)
    assert house.dump(tenant) == before
    with house.tenancy.session(tenant) as db:
        assert db.scalar(text("select count(*) from tickets")) == 10
    house.drop(tenant)
