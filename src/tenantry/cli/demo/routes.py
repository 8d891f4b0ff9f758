"""The ways that are tried from one tenant to another, with the ORM, with Core and with raw SQL."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import psycopg
from sqlalchemy import CursorResult, Insert, Table, select, text
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.exc import DBAPIError, IntegrityError

from tenantry import TenantSession
from tenantry.cli.demo.customers import Place
from tenantry.cli.demo.intrusion import Found, GotIn, Route, Target
from tenantry.models.columns import utc_now
from tenantry.packs.helpdesk import HelpdeskBase, Ticket

ANYWHERE: Final = tuple(Place)
POSTGRES: Final = (Place.ROWS, Place.SCHEMA, Place.DATABASE)
SQLITE: Final = (Place.SQLITE_ROWS, Place.SQLITE_FILE)
COMMON_FILE: Final = (Place.SQLITE_ROWS,)

tickets: Final[Table] = HelpdeskBase.metadata.tables["tickets"]


def says(*statements: str) -> Callable[[TenantSession, Target], Found]:
    """Returns the attempt that runs raw SQL and takes what the last statement gives."""

    def attempt(db: TenantSession, target: Target) -> Found:
        found: Found = ()
        for statement in statements:
            found = _taken(db.execute(text(statement.format_map(target.words))))
        return found

    return attempt


def forgotten_filter(db: TenantSession, _: Target) -> Found:
    """Asks for every ticket, with no condition at all."""
    return [(ticket.tenant_id, ticket.subject) for ticket in db.scalars(select(Ticket))]


def foreign_key_of_theirs(db: TenantSession, target: Target) -> Found:
    """Asks for their ticket by its own id, and by its whole key."""
    theirs = target.victim.ticket
    found = [db.get(Ticket, theirs.id), db.get(Ticket, (theirs.tenant_id, theirs.id))]
    return [(ticket.tenant_id, ticket.subject) for ticket in found if ticket is not None]


def merged_object(db: TenantSession, target: Target) -> Found:
    """Merges their ticket, as a cache or another session might hand it over."""
    merged = db.merge(target.victim.ticket)
    merged.subject = "mine now"
    db.flush()
    return [(merged.tenant_id, merged.subject)]


def new_object_of_theirs(db: TenantSession, target: Target) -> Found:
    """Adds a new object that says it is theirs."""
    db.add(Ticket(tenant_id=target.victim.tenant.id, subject="planted"))
    db.flush()
    return 1_000_000


def inserted_row_of_theirs(db: TenantSession, target: Target) -> Found:
    """Inserts a row with their tenant_id, below the ORM."""
    theirs = target.victim.tenant.id
    return _taken(db.connection().execute(tickets.insert().values(_ticket(target, tenant_id=theirs))))


def reference_to_theirs(db: TenantSession, target: Target) -> Found:
    """Gives an own ticket to their agent; a key that lets it pass tells that the agent exists."""
    db.connection().execute(tickets.insert().values(_ticket(target, agent_id=target.victim.agent.id)))
    raise GotIn("a row refers to their agent")


def number_of_theirs(db: TenantSession, target: Target) -> Found:
    """Takes their ticket's number and id once more; a violation would tell that they are taken."""
    theirs = target.victim.ticket
    values = _ticket(target, id=theirs.id, platform=theirs.platform, ticket_id=theirs.ticket_id)
    try:
        return _taken(db.connection().execute(tickets.insert().values(values)))
    except IntegrityError as error:
        raise GotIn("a key told that theirs exists") from error


def upsert_over_theirs(db: TenantSession, target: Target) -> Found:
    """Writes over their ticket by way of its key."""
    theirs = target.victim.ticket
    values = _ticket(target, tenant_id=theirs.tenant_id, company_id=theirs.company_id, id=theirs.id)
    return _taken(db.connection().execute(_upsert(values, on_postgres=target.place in POSTGRES)))


def error_of_theirs(db: TenantSession, target: Target) -> Found:
    """Asks so that only one of their rows would raise an error; a wall judged too late would let it."""
    broken = "1 / length(left(subject, 0))" if target.place in POSTGRES else "json('{{' || subject)"
    question = f"SELECT * FROM tickets WHERE CASE WHEN tenant_id = '{{their_id}}' THEN {broken} END IS NULL"
    try:
        return says(question)(db, target)
    except DBAPIError as error:
        raise GotIn("an error told of their rows") from error


def copied_out(db: TenantSession, _: Target) -> Found:
    """Copies the table out through the driver."""
    driver: Any = db.connection().connection.driver_connection
    with driver.cursor() as cursor, cursor.copy("COPY tickets TO STDOUT") as lines:
        return [bytes(line).decode() for line in lines]


def login_without_session(_: TenantSession, target: Target) -> Found:
    """Connects with the run-time login and reads, without any session of ours."""
    with contextlib.closing(psycopg.connect(target.app_url())) as connection:
        return connection.execute(f"SELECT * FROM {target.words['home']}.tickets").fetchall()


def _taken(result: Any) -> Found:
    assert isinstance(result, CursorResult)  # noqa: S101  # every statement of this module gives one
    return result.fetchall() if result.returns_rows else result.rowcount


def _ticket(target: Target, **columns: Any) -> dict[str, Any]:
    now = utc_now()
    own = {"tenant_id": target.intruder.id, "company_id": target.intruder.id}
    return {**own, "platform": "mail", "subject": "planted", "created_at": now, "updated_at": now, **columns}


def _upsert(values: dict[str, Any], *, on_postgres: bool) -> Insert:
    if not on_postgres:
        return tickets.insert().prefix_with("OR REPLACE").values(values)
    return (
        postgres_insert(tickets)
        .values(values)
        .on_conflict_do_update(index_elements=["tenant_id", "id"], set_={"subject": "mine now"})
    )


ROUTES: Final[Sequence[Route]] = (
    Route("a forgotten filter: select(Ticket)", ANYWHERE, forgotten_filter),
    Route("SELECT * FROM tickets", ANYWHERE, says("SELECT * FROM tickets")),
    Route("… WHERE tenant_id = theirs", ANYWHERE, says("SELECT * FROM tickets WHERE tenant_id = '{their_id}'")),
    Route("injected: ' OR 1=1 --", ANYWHERE, says("SELECT * FROM tickets WHERE subject = '' OR 1=1 --'")),
    Route("db.get(Ticket, their id)", ANYWHERE, foreign_key_of_theirs),
    Route("db.merge(their ticket)", ANYWHERE, merged_object),
    Route("db.add(Ticket(tenant_id=theirs))", ANYWHERE, new_object_of_theirs),
    Route("INSERT … tenant_id = theirs", ANYWHERE, inserted_row_of_theirs),
    Route("INSERT … over their primary key", ANYWHERE, upsert_over_theirs),
    Route("a foreign key to their agent", ANYWHERE, reference_to_theirs),
    Route("their ticket number, taken again", ANYWHERE, number_of_theirs),
    Route("an error only their rows raise", ANYWHERE, error_of_theirs),
    Route("UPDATE tickets, every row", ANYWHERE, says("UPDATE tickets SET subject = 'mine now'")),
    Route("UPDATE … SET tenant_id = theirs", ANYWHERE, says("UPDATE tickets SET tenant_id = '{their_id}'")),
    Route("COMMIT as text, then SELECT", ANYWHERE, says("COMMIT", "SELECT * FROM tickets")),
    Route("SELECT from their schema", POSTGRES, says("SELECT * FROM {their_schema}.tickets")),
    Route("search_path to their schema", POSTGRES, says("SET search_path = {their_schema}", "SELECT * FROM tickets")),
    Route("the catalog: tenantry.tenants", POSTGRES, says("SELECT * FROM tenantry.tenants")),
    Route("the catalog: tenantry.resolve()", POSTGRES, says("SELECT * FROM tenantry.resolve('slug', '{their_slug}')")),
    Route("statistics: pg_stats", POSTGRES, says("SELECT * FROM pg_stats WHERE tablename = 'tickets'")),
    Route("COPY tickets TO STDOUT", POSTGRES, copied_out),
    Route("SET row_security = off", POSTGRES, says("SET row_security = off", "SELECT * FROM tickets")),
    Route("SET ROLE tenantry_operator", POSTGRES, says("SET ROLE tenantry_operator", "SELECT * FROM tickets")),
    Route("RESET ROLE", POSTGRES, says("RESET ROLE", "SELECT * FROM tickets")),
    Route("DISABLE ROW LEVEL SECURITY", POSTGRES, says("ALTER TABLE tickets DISABLE ROW LEVEL SECURITY")),
    Route("CREATE TEMP TABLE", POSTGRES, says("CREATE TEMP TABLE loot AS SELECT * FROM tickets")),
    Route("TRUNCATE tickets", POSTGRES, says("TRUNCATE tickets CASCADE")),
    Route("the run-time login, no session", POSTGRES, login_without_session),
    Route("ATTACH their file", SQLITE, says("ATTACH '{their_file}' AS them", "SELECT * FROM them.tickets")),
    Route("sqlite_master", SQLITE, says("SELECT * FROM sqlite_master")),
    Route("PRAGMA writable_schema", SQLITE, says("PRAGMA writable_schema = ON", "SELECT * FROM tickets")),
    Route("the stored table under the view", COMMON_FILE, says("SELECT * FROM main.tickets__rows")),
    Route(
        "a CTE that takes the view's name",
        COMMON_FILE,
        says("WITH tickets AS (SELECT * FROM main.tickets__rows) SELECT * FROM tickets"),
    ),
    # Last, since it leaves the intruder nothing to see.
    Route("DELETE FROM tickets, every row", ANYWHERE, says("DELETE FROM tickets")),
)
