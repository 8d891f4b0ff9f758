"""A person erased from a tenant: rows and audit in one transaction, then archives, keys and copies, then the look."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Final

from sqlalchemy import select, update

from tenantry.archive import backing, erasures, sweeping
from tenantry.archive.certificates import PERSON, Certificate
from tenantry.archive.certificates import Store as Told
from tenantry.archive.encoding import split
from tenantry.archive.erasing_places import ROWS, Places, note, told
from tenantry.archive.forgetting import Forgetting, Traces
from tenantry.archive.mentions import ERASED, Mentions
from tenantry.archive.persons import Person, check_entangled, find
from tenantry.archive.scrubbing import scrub
from tenantry.archive.sources import opened
from tenantry.catalog import archives
from tenantry.catalog.operations import UNDONE, Course
from tenantry.catalog.tables import operator_log
from tenantry.errors import AuditNotGiven, PersonEntangled
from tenantry.isolation.purging import Purge

_FRESH: Final = "fresh"
_FILES: Final = "the databases' own files"
_NEW_ARCHIVE: Final = "the new archive"
_RECORD: Final = "the record of looks across tenants"
_NOTE: Final = "taken after an erasure"
_REACH: Final = (
    "Logs and backups that the database server keeps by itself, and exports handed out, are not reached from here."
)


def check(places: Places, person: Person) -> None:
    """Lets an erase pass that can be done, before anything is changed.

    Raises: PersonEntangled, AuditNotGiven, LoginRequired.
    """
    with places.purging("looking for a person to be erased") as view:
        _forgetting(places, view, person).check_audits()
        metadata = places.archive.tenancy.metadata
        check_entangled(view, metadata, find(view, metadata, person.is_named))


def look(places: Places, person: Person) -> Traces:
    """Returns what there is of the person; nothing is changed.

    Raises: PersonsUndeclared, LoginRequired.
    """
    with places.purging("looking for a person") as view:
        return _forgetting(places, view, person).traces()


def erase(places: Places, person: Person) -> Certificate:
    """Erases the person whose operation was begun.

    Raises: PersonEntangled, AuditNotGiven, EraseUnfinished, and what the stores and a backup raise.
    """
    with places.course() as course:
        changed = _forget_rows(places, person, course)
        fresh, key = _renew_archive(places, course)
        places.destroy_keys(course, but=key)
        places.delete_files(course, but=[fresh] if fresh else [])
        places.forget_copies(course, person.names)
        _clean_record(places, person, course)
        course.step("scrub")
        left = scrub(places.archive.tenancy, places.tenant, changed)
        course.step("look")
        traces = look(places, person)
        stores = list(_look(places, person, course, traces, left, fresh=fresh, key=key))
        return places.certify(course, stores, scope=PERSON, notes=[*_mentions(traces), _REACH])


def _forget_rows(places: Places, person: Person, course: Course) -> list[str]:
    """Forgets the person in the tenant's rows, in one transaction, and returns the tables that have changed."""
    course.step("log")
    with places.catalog() as connection:
        erasures.enter(
            connection,
            course.id,
            places.tenant.id,
            subject=course.detail["subject"],
            key=course.detail["keyed_by"],
        )
    others = bool(course.detail["mentions"])
    try:
        with places.purging(f"erasure {course.id}") as view:
            forgetting = _forgetting(places, view, person)
            traces = forgetting.traces()
            note(course, ROWS, ROWS, traces.counts(others=others))
            forgetting.forget(traces, others=others, reason=f"erasure {course.id}")
            course.tell("commit", done=1, total=1)
    except (PersonEntangled, AuditNotGiven):
        _withdraw(places, course)
        raise
    return list(course.detail["counts"][ROWS])


def _withdraw(places: Places, course: Course) -> None:
    with places.catalog() as connection:
        erasures.withdraw(connection, course.id)
    course.end(UNDONE)


def _renew_archive(places: Places, course: Course) -> tuple[str | None, uuid.UUID | None]:
    """Returns the archive that takes the place of all before, and the key it is under; none where there were none."""
    archive, tenant = places.archive, places.tenant
    # One that was killed ends here: what it left is an archive like others, or nothing.
    sweeping.sweep(archive)
    places.wait_for_backups(course)
    if course.detail.get(_FRESH) is None and _has_archives(places):
        if archive.encrypt:
            _renew_key(places, course)
        course.step("renew")
        renewed = backing.back_up(archive, archive.tenancy.tenants.get(tenant.id), suspended=True, note=_NOTE)
        course.step("renewed", **{_FRESH: renewed.name, "key": renewed.key_id and str(renewed.key_id)})
    key = course.detail.get("key")
    return course.detail.get(_FRESH), key and uuid.UUID(key)


def _renew_key(places: Places, course: Course) -> None:
    """Gives the tenant a new data key, unless a process before this one has done it."""
    keys, tenant = places.archive.data_keys, places.tenant.id
    course.step("rotate", old_key=course.detail.get("old_key") or keys.current(tenant).id)
    if keys.current(tenant).id == course.detail["old_key"]:
        keys.rotate(tenant)


def _has_archives(places: Places) -> bool:
    with places.catalog() as connection:
        if archives.listing(connection, tenant=places.tenant.id):
            return True
    return any(True for store in places.stores for _ in places.names_in(store))


def _clean_record(places: Places, person: Person, course: Course) -> None:
    """Takes the person out of the reasons that operators gave."""
    mentions = Mentions(person)
    with places.catalog() as connection:
        rows = connection.execute(select(operator_log.c.id, operator_log.c.reason)).all()
    found = {row.id: mentions.without(row.reason) for row in rows if mentions.in_value(row.reason)}
    note(course, "record", _RECORD, {"reasons": len(found)}, adding=True)
    with places.catalog() as connection:
        for entry, reason in found.items():
            connection.execute(update(operator_log).where(operator_log.c.id == entry).values(reason=reason or ERASED))


def _look(
    places: Places,
    person: Person,
    course: Course,
    traces: Traces,
    left: dict[str, int],
    *,
    fresh: str | None,
    key: uuid.UUID | None,
) -> Iterator[Told]:
    tenant = places.tenant
    where = f"{tenant.isolation.value} {tenant.physical} on server {tenant.server}".replace("  ", " ")
    yield told(course, ROWS, where, looked_at="every table, row by row", left=traces.counts(others=False))
    yield places.told_of_keys(course, but=key)
    yield from places.told_of_files(course, but=[fresh] if fresh else [])
    if fresh is not None:
        found = _said_in_archive(places, person, fresh)
        more = {name: rows - len(traces.others.get(name, ())) for name, rows in found.items()}
        more = {name: rows for name, rows in more.items() if rows > 0}
        yield told(course, _NEW_ARCHIVE, fresh, looked_at="every table, row by row", left=more)
    yield from places.told_of_copies(course, person.names)
    yield told(course, _RECORD, "the catalog", looked_at="every reason", left={})
    yield told(course, _FILES, where, looked_at="free pages, logs and statistics, made anew", left=left)


def _said_in_archive(places: Places, person: Person, name: str) -> dict[str, int]:
    """Returns how many rows of an archive mention the person, by table."""
    mentions = Mentions(person)
    counts = {}
    with opened(places.archive, name, tenant=places.tenant.id) as found:
        for entry in found.manifest.tables:
            rows = split(found.rows(entry.name))
            said = sum(mentions.in_value([(value or b"").decode() for value in row]) for row in rows)
            if said:
                counts[entry.name] = said
    return counts


def _mentions(traces: Traces) -> Iterator[str]:
    if traces.others:
        tables = ", ".join(f"{name} ({len(rows)})" for name, rows in sorted(traces.others.items()))
        yield f"Rows that are not the person's own and mention a name of it were left as they are: {tables}."


def _forgetting(places: Places, view: Purge, person: Person) -> Forgetting:
    return Forgetting(view, places.archive.tenancy.metadata, person, places.audits)
