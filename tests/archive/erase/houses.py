"""Two installations, PostgreSQL and a directory of files; their tenants live in five kinds of places."""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tenantry import Tenancy, Tenant
from tenantry.archive.core import Archive
from tenantry.archive.erasing import Erasing
from tenantry.archive.keys import KeyRing
from tenantry.archive.places import reading
from tenantry.archive.stores import DirectoryStore

from .models import Base, Behaviours, Customer, Draft, Message, Page, Ticket, Visit, behaviours_of
from .planting import plant

RING = KeyRing({"2026": b"r" * 32}, "2026")
# The installation and the isolation of each kind of place.
PLACES = {
    "rows": ("postgresql", "rows"),
    "schema": ("postgresql", "schema"),
    "database": ("postgresql", "database"),
    "file": ("sqlite", "database"),
    "common file": ("sqlite", "rows"),
}
ROLES = ("app", "operator", "platform")
ANNA = "anna.canary@example.org"
ANNA_PHONE = "+49 30 5550147"
BEN = "ben@example.org"


class Site:
    """One installation with its behaviours, its store, and what erases in it."""

    def __init__(self, directory: Path, url: str, **logins: str) -> None:
        self.directory = directory
        self.url, self.logins = url, logins
        self.tenancy = Tenancy(url, models=Base, **logins)
        self.made: Behaviours = behaviours_of(self.tenancy)
        self.archive = Archive(self.tenancy, DirectoryStore(directory / "store"), keys=RING, encrypt=True)
        self.erasing = Erasing(self.archive)

    @property
    def job(self) -> dict[str, Any]:
        """What another process needs to open the same."""
        return {"directory": str(self.directory), "url": self.url, "logins": self.logins}


class House:
    """Both installations."""

    def __init__(self, postgres: Any, directory: Path) -> None:
        self.postgres = postgres
        self.directory = directory
        self.database = postgres.create_database()
        self.mark = uuid.uuid4().hex[:10]
        owner_url = postgres.url(self.database)
        first = Tenancy(owner_url, models=Base)
        behaviours_of(first)
        first.install(create_tables=True)
        urls = {role: first.create_login(f"erase_{role}_{self.mark}", role=role) for role in ROLES}
        first.close()
        others = {"operator_url": urls["operator"], "platform_url": urls["platform"]}
        files = directory / "sqlite"
        self.sites = {
            "postgresql": Site(directory / "postgresql", urls["app"], owner_url=owner_url, **others),
            "sqlite": Site(files, f"sqlite:///{files / 'data'}"),
        }
        self.sites["sqlite"].tenancy.install(create_tables=True)

    def site(self, place: str) -> Site:
        return self.sites[PLACES[place][0]]

    def make(self, place: str, *, word: str = "") -> Tenant:
        """Returns a new tenant, with *word* in every column of every table that holds words, if one is given."""
        site, slug = self.site(place), f"t-{uuid.uuid4().hex[:12]}"
        settings = {"motto": word} if word else {}
        tenant = site.tenancy.tenants.create(
            f"{slug}{word}",
            name=f"Name {word}",
            isolation=PLACES[place][1],
            identities={"crm": f"crm-{slug}-{word}"},
            settings=settings,
            record={"name": slug},
        )
        if word:
            plant(site.tenancy, tenant, word)
        return tenant

    def fill(self, place: str, tenant: Tenant) -> None:
        """Gives a tenant two customers, what both wrote, and everything the library keeps of that."""
        site = self.site(place)
        with site.tenancy.transaction(tenant) as db:
            db.info["actor"] = ANNA_PHONE
            people = [Customer(email=email, phone=phone) for email, phone in ((ANNA, ANNA_PHONE), (BEN, None))]
            db.add_all(people)
            db.flush()
            tickets = [
                Ticket(title=f"{email} asks", requester_email=email.title(), assignee_id=other.id)
                for email, other in zip((ANNA, BEN), reversed(people), strict=True)
            ]
            db.add_all(tickets)
            db.flush()
            db.add_all(Message(ticket_id=ticket.id, text=f"re: {ticket.title}") for ticket in tickets)
            db.add_all(Visit(visitor=email, page="/") for email in (ANNA, BEN))
            db.add_all(Draft(author=email, text=f"by {email}") for email in (ANNA, BEN))
            db.add(Page(text="nobody", facts=None))
            self._use(site.made, db)
        with site.tenancy.transaction(tenant) as db:
            for draft in db.query(Draft):
                draft.soft_delete(by=BEN)

    def _use(self, made: Behaviours, db: Any) -> None:
        for number, name in itertools.product(range(2), (ANNA, BEN)):
            made.outbox.add(db, "mail.sent", {"to": [name], "number": number}, key=name)
            with made.idempotency.once(db, f"{number}-{name}", payload={"n": number}) as call:
                call.answer = {"mailed": name}
            made.usage.record(db, provider="p", model="m", prompt_tokens=1, completion_tokens=1, user_id=name)
            made.audit.record(db, event_type="mail.sent", category="mail", description=f"to {name}", actor=name)
        made.switches.activate(db, workflow="mail", reason=f"asked for by {ANNA}", by=ANNA)

    def digests(self, place: str, tenant: Tenant) -> dict[str, Any]:
        """Returns what every table of a tenant amounts to."""
        with reading(self.site(place).tenancy, tenant) as reader:
            return {table.name: reader.digest(table) for table in reader.tables}

    def said(self, place: str, word: str) -> list[str]:
        """Returns where a word is found: in every database of the server and in every file of the installation."""
        found = [str(path) for path in self.site(place).directory.rglob("*") if path.is_file() and has(path, word)]
        if PLACES[place][0] == "postgresql":
            found += self._said_on_server(word)
        return found

    def _said_on_server(self, word: str) -> list[str]:
        with self.postgres.admin(self.database) as connection:
            own = connection.execute("select physical from tenantry.placements where isolation = 'database'").fetchall()
            known = connection.execute("select datname from pg_database").fetchall()
        databases = {self.database} | ({name for (name,) in own} & {name for (name,) in known})
        return [where for database in sorted(databases) for where in self._said_in(database, word)]

    def _said_in(self, database: str, word: str) -> Iterator[str]:
        tables = (
            "select format('%I.%I', n.nspname, c.relname) from pg_class c "
            "join pg_namespace n on n.oid = c.relnamespace "
            "where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^(pg_toast|pg_catalog|information_schema)'"
        )
        with self.postgres.admin(database) as connection:
            for (table,) in [*connection.execute(tables), ("pg_catalog.pg_stats",)]:
                wanted = (f"%{word}%", f"%{word.encode().hex()}%")
                question = f"select count(*) from {table} t where t::text ilike %s or t::text ilike %s"
                if connection.execute(question, wanted).fetchone()[0]:
                    yield f"{database}: {table}"

    def close(self) -> None:
        site = self.sites["postgresql"]
        for tenant in list(site.tenancy.every_tenant()):
            if tenant.isolation == "database":
                site.tenancy.tenants.erase(tenant, confirm=tenant.slug)
        for one in self.sites.values():
            one.tenancy.close()
        self.postgres.drop_database(self.database)
        with self.postgres.admin() as connection:
            for role in ROLES:
                connection.execute(f"DROP ROLE erase_{role}_{self.mark}")


def has(path: Path, word: str) -> bool:
    return word.lower().encode() in path.read_bytes().lower()


def count(site: Site, tenant: Tenant, table: str) -> int:
    """Returns how many rows of a table a tenant has, hidden ones too."""
    with site.tenancy.purging(tenant, reason="counting") as purge:
        return purge.count(site.tenancy.metadata.tables[table])


@contextlib.contextmanager
def opened(postgres: Any, directory: Path) -> Iterator[House]:
    """Opens a house and leaves nothing behind."""
    house = House(postgres, directory)
    try:
        yield house
    finally:
        house.close()
