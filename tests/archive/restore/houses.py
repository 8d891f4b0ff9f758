"""An installation of two servers, PostgreSQL and a directory of files, and one of a directory alone."""

from __future__ import annotations

import contextlib
import datetime
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import select

from tenantry import Tenancy, Tenant
from tenantry.archive import Archive
from tenantry.archive.keys import KeyRing
from tenantry.archive.stores import DirectoryStore
from tenantry.audit import AnchorFiles, Audit

from .models import MODELS, Base, Company, Country, Event, Team, Ticket, audited

RING = KeyRing({"2026": b"r" * 32}, "2026")
ROLES = ("app", "operator", "platform")
# The server and the isolation of each kind of place.
PLACES = {
    "rows": ("main", "rows"),
    "schema": ("main", "schema"),
    "database": ("main", "database"),
    "file": ("files", "database"),
    "common file": ("files", "rows"),
}
FILE_PLACES = {"file": ("main", "database"), "common file": ("main", "rows")}
# Where a tenant may be named, and by which column.
WALLED = dict.fromkeys(("companies", "teams", "tickets", "events", "audit_log", "audit_heads"), "tenant_id")
CATALOGUED = {"tenants": "id", "placements": "tenant_id", "identities": "tenant_id"}
SUBJECTS = ("plain", "tab\tand\nline", "\\N", "\\.", "quote ' \"", "ü€🙂", "", "NULL", "a\\tb", " blank ")


class House:
    """Where tests back up and restore; every tenancy of it is one more process' view of it."""

    places = PLACES

    def __init__(self, postgres: Any, directory: Path) -> None:
        self.postgres = postgres
        self.directory = directory
        self.database = postgres.create_database()
        self.owner_url = postgres.url(self.database)
        self.mark = uuid.uuid4().hex[:10]
        first = open_house(self.owner_url, directory, owner_url=self.owner_url)
        furnish(first, "main", "files")
        self.urls = {role: first.create_login(f"arch_{role}_{self.mark}", role=role) for role in ROLES}
        first.close()
        self.logins = {f"{role}_url": self.urls[role] for role in ("operator", "platform")}
        self._begin(self.urls["app"], owner_url=self.owner_url, **self.logins)

    def _begin(self, url: str, **logins: str) -> None:
        self._store_number = 0
        self.spool = self.directory / "spool"
        self.spool.mkdir()
        # What another process needs to open the same.
        self.job = {"url": url, "directory": str(self.directory), "logins": logins}
        self.tenancy, self.audit = self.open()

    def open(self) -> tuple[Tenancy, Audit]:
        """Returns one more view of the installation, with its audit."""
        tenancy = open_house(self.job["url"], self.directory, **self.job["logins"])
        return tenancy, tenancy_audit(tenancy, self.directory)

    def archive(self, **options: Any) -> Archive:
        """Returns an archive with an empty store."""
        self._store_number += 1
        store = DirectoryStore(self.directory / f"store{self._store_number}")
        return Archive(self.tenancy, store, keys=RING, spool=self.spool, **options)

    def make(self, place: str, *, rows: int = len(SUBJECTS)) -> Tenant:
        """Returns a new tenant with rows of every kind."""
        server, isolation = self.places[place]
        slug = f"t-{uuid.uuid4().hex[:12]}"
        tenant = self.tenancy.tenants.create(slug, server=server, isolation=isolation, record={"name": slug})
        self.fill(tenant, rows=rows)
        return tenant

    def fill(self, tenant: Tenant, *, rows: int = len(SUBJECTS)) -> None:
        """Adds rows of every kind, and an entry of the audit."""
        with self.tenancy.transaction(tenant) as db:
            company = db.scalars(select(Company)).one()
            boss = Team(name="boss", company_id=company.id)
            db.add(boss)
            db.flush()
            team = Team(name="team", company_id=company.id, parent_id=boss.id)
            db.add(team)
            db.flush()
            db.add_all(ticket(number, team.id) for number in range(rows))
            db.add_all(Event(what=f"event {number}") for number in range(3))
            self.audit.record(db, event_type="rows.added", category="data", description="Rows")

    def dump(self, tenant: Tenant) -> dict[str, list[Any]]:
        """Returns every row as an ordinary session sees it, whoever the tenant is."""
        with self.tenancy.session(tenant) as db:
            return dump(db, tenant.id)

    def drop(self, *tenants: Tenant) -> None:
        for tenant in tenants:
            self.tenancy.tenants.erase(tenant, confirm=tenant.slug)

    def scratches(self) -> set[str]:
        """Returns the schemas, databases and files of tenants that the catalog does not know."""
        known = {tenant.physical for tenant in self.tenancy.every_tenant()} - {""}
        return self._standing() - known

    def _standing(self) -> set[str]:
        with self.postgres.admin(self.database) as connection:
            # Other tests of this run have databases on the server too; one that was begun has no mark yet.
            names = (
                "select nspname from pg_namespace where nspname ~ '^t_' union "
                "select datname from pg_database where coalesce(starts_with(shobj_description(oid, 'pg_database'), "
                "'tenantry: ' || current_database()), true)"
            )
            found = {name for (name,) in connection.execute(names) if name.startswith("t_")}
        return found | self._files()

    def _files(self) -> set[str]:
        files = (self.directory / "files").glob("??/*.sqlite3")
        return {str(path.relative_to(self.directory / "files")) for path in files}

    def counted(self, tenant: uuid.UUID) -> dict[str, int]:
        """Returns in how many rows a tenant is named: in common tables, and in the catalog unless it was erased."""
        with self.postgres.admin(self.database) as connection:
            return {
                table: connection.execute(f"SELECT count(*) FROM {table} WHERE {column} = %s", (tenant,)).fetchone()[0]
                for table, column in {**WALLED, **{f"tenantry.{name}": key for name, key in CATALOGUED.items()}}.items()
            }

    def close(self) -> None:
        self.tenancy.close()
        with self.postgres.admin(self.database) as connection:
            own = connection.execute("select physical from tenantry.placements where isolation = 'database'").fetchall()
        for (name,) in own:
            if name.startswith("t_"):
                self.postgres.drop_database(name)
        self.postgres.drop_database(self.database)
        with self.postgres.admin() as connection:
            for role in ROLES:
                connection.execute(f"DROP ROLE arch_{role}_{self.mark}")


class FileHouse(House):
    """A directory alone, with its catalog."""

    places = FILE_PLACES

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._begin(f"sqlite:///{directory / 'files'}")
        furnish(self.tenancy, "main")

    def _standing(self) -> set[str]:
        return self._files()

    def counted(self, tenant: uuid.UUID) -> dict[str, int]:
        main: Any = self.tenancy.servers.main
        asked = {
            "common.sqlite3": {f"{name}__rows": key for name, key in WALLED.items()},
            "catalog.sqlite3": CATALOGUED,
        }
        found = {}
        for file, tables in asked.items():
            with main.connection(file) as connection:
                for table, column in tables.items():
                    question = f"SELECT count(*) FROM {table} WHERE {column} = ?"
                    found[table] = connection.exec_driver_sql(question, (tenant.hex,)).scalar()
        return found

    def close(self) -> None:
        self.tenancy.close()


def furnish(tenancy: Tenancy, *servers: str) -> None:
    """Installs, and writes the rows that everybody reads."""
    tenancy.install(create_tables=True)
    for server in servers:
        with tenancy.platform(server=server) as db:
            db.add(Country(code="CH"))
            db.commit()
    tenancy.publish()


def open_house(url: str, directory: Path, **logins: Any) -> Tenancy:
    """Returns a view of an installation; what is in its tables is the models' and the audit's."""
    tenancy = Tenancy(url, models=Base, **logins)
    if not url.startswith("sqlite"):
        tenancy.servers.add("files", f"sqlite:///{directory / 'files'}")
    tenancy_audit(tenancy, directory)
    return tenancy


_audits: dict[int, Audit] = {}


def tenancy_audit(tenancy: Tenancy, directory: Path) -> Audit:
    """Returns the one audit of a tenancy."""
    if id(tenancy) not in _audits or _audits[id(tenancy)].tenancy is not tenancy:
        _audits[id(tenancy)] = audited(tenancy, anchors=AnchorFiles(directory / "anchors"))
    return _audits[id(tenancy)]


def ticket(number: int, team: uuid.UUID) -> Ticket:
    """Returns a ticket with something of every kind in it."""
    return Ticket(
        team_id=team,
        subject=SUBJECTS[number % len(SUBJECTS)],
        country="CH" if number % 2 else None,
        amount=Decimal(number) / 8,
        weight=number / 3,
        due=datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=number),
        body=bytes(range(number % 256)),
        facts={"n": number, "ü": [None, True, 1.5, {"\\": "\t"}]} if number % 3 else None,
    )


def dump(db: Any, tenant: uuid.UUID) -> dict[str, list[Any]]:
    """Returns what a session sees, the tenant's own id left out."""
    found = {}
    for model in MODELS:
        rows = db.execute(select(*model.__table__.columns).order_by(model.__table__.c.id)).all()
        plain = [[None if value == tenant else value for value in row] for row in rows]
        found[model.__tablename__] = plain if model in (Ticket, Event) else sorted(plain, key=repr)
    return found


@contextlib.contextmanager
def opened(postgres: Any, directory: Path) -> Iterator[House]:
    """Opens a house and leaves nothing behind."""
    house = House(postgres, directory)
    try:
        yield house
    finally:
        house.close()
