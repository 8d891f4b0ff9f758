"""The conformance suite: what every session, key and row of an installation does, whatever the models are."""

from __future__ import annotations

import functools
import secrets
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from tenantry.doctor import examine
from tenantry.errors import CrossTenant, InvalidKey, TenantNotFound, TenantryError, TenantSuspended
from tenantry.models import TENANT_COLUMN, Ownership, lint, ownership
from tenantry.testing.grounds import Ground
from tenantry.testing.leaks import refuse
from tenantry.testing.rows import Side, fresh_key
from tenantry.types import Finding

_FIX: Final = "Run `tenantry doctor`, then the same tests on an installation made afresh."


def found_in_the_models(ground: Ground) -> Iterator[Finding]:
    """Yields what the linter finds in the models, and each table of which nobody said whose it is."""
    yield from lint(ground.tenancy.metadata)
    for table in ground.tenancy.metadata.tables.values():
        if ownership(table) is None:
            fix = "Derive its class from TenantOwned, TenantRecord, Platform or Shared."
            yield Finding("ownerless", table.name, "Nothing says whose rows it holds.", fix)


def found_by_the_doctor(ground: Ground) -> Iterator[Finding]:
    """Yields what the doctor finds at fault in the walls, grants, logins and keys of the servers."""
    yield from examine(ground.tenancy).findings


def found_in_installing_again(ground: Ground) -> Iterator[Finding]:
    """Yields the tables whose rows are others after a second installation."""
    before = ground.state(ground.a)
    ground.tenancy.install(create_tables=True)
    after = ground.state(ground.a)
    for name in before:
        if before[name] != after[name]:
            yield Finding("install", name, "install() a second time changed its rows.", _FIX)


def found_in_keys(ground: Ground) -> Iterator[Finding]:
    """Yields the keys that open a session and should not."""
    gone = f"nobody-{secrets.token_hex(4)}"
    for key, refusal in ((gone, TenantNotFound), (uuid.uuid4(), TenantNotFound), ("", InvalidKey), ("A B", InvalidKey)):
        yield from _expected(refusal, f"session({key!r})", functools.partial(_open, ground, key))
    tenants = ground.tenancy.tenants
    tenants.suspend(ground.b.slug)
    try:
        suspended = functools.partial(_open, ground, ground.b.slug)
        yield from _expected(TenantSuspended, "a suspended tenant's session", suspended)
    finally:
        tenants.resume(ground.b.slug)


def found_in_transactions(ground: Ground) -> Iterator[Finding]:
    """Yields the tables in which a row stays that was rolled back, by any door."""
    before = ground.state(ground.a)
    for door in ground.doors:
        for table in (each for each in ground.tables if ownership(each) is Ownership.TENANT):
            ground.attempt(door, _rolled_back(table, ground.a))
    after = ground.state(ground.a)
    for name in before:
        if before[name] != after[name]:
            yield Finding("rollback", name, "A row that was rolled back is there.", _FIX)


def found_in_objects(ground: Ground) -> Iterator[Finding]:
    """Yields the classes whose objects pass from one tenant's session into another's, or are found there by key."""
    for table in ground.tables:
        model = ground.model_of(table)
        if model is None:
            continue
        for door in ground.doors:
            key = _own_key(table, ground.b)
            # Two tenants may each have a row of the same own id: what is found is the asker's.
            seen = ground.attempt(door, _tenant_of(model, key))
            if seen not in (None, ground.a.id):
                yield Finding("get", f"{table.name} ({door})", f"get() finds another tenant's row: {seen!r:.200}", _FIX)
            given = ground.attempt(door, _given(model, ground.b))
            if not isinstance(given, CrossTenant):
                yield Finding("given", f"{table.name} ({door})", f"takes another tenant's object: {given!r:.200}", _FIX)


def found_in_inserts(ground: Ground) -> Iterator[Finding]:
    """Yields the tables that take a row in the name of another tenant."""
    for door in ground.doors:
        for table in ground.tables:
            there = {**ground.b.rows[table.name], TENANT_COLUMN: ground.b.id}
            told = [_refused(ground.attempt(door, _inserting(table, row))) for row in (there, there | fresh_key(table))]
            if None in told:
                yield Finding("insert", f"{table.name} ({door})", "takes a row in another tenant's name.", _FIX)
            elif len(set(told)) > 1:
                message = f"tells whether another tenant has a row: {told[0]!r} and not {told[1]!r}."
                yield Finding("oracle", f"{table.name} ({door})", message, _FIX)


CHECKS: Final[tuple[Callable[[Ground], Iterator[Finding]], ...]] = (
    found_in_the_models,
    found_by_the_doctor,
    found_in_installing_again,
    found_in_keys,
    found_in_transactions,
    found_in_objects,
    found_in_inserts,
)


class Suite:
    """The suite as tests: name a class of yours ``class TestConformance(Suite)``."""

    def test_every_table_says_whose_it_is(self, tenantry_ground: Ground) -> None:
        refuse(list(found_in_the_models(tenantry_ground)))

    def test_the_doctor_finds_nothing(self, tenantry_ground: Ground) -> None:
        refuse(list(found_by_the_doctor(tenantry_ground)))

    def test_installing_again_changes_nothing(self, tenantry_ground: Ground) -> None:
        refuse(list(found_in_installing_again(tenantry_ground)))

    def test_a_key_opens_one_tenant_or_none(self, tenantry_ground: Ground) -> None:
        refuse(list(found_in_keys(tenantry_ground)))

    def test_what_is_rolled_back_is_not_there(self, tenantry_ground: Ground) -> None:
        refuse(list(found_in_transactions(tenantry_ground)))

    def test_objects_stay_with_their_tenant(self, tenantry_ground: Ground) -> None:
        refuse(list(found_in_objects(tenantry_ground)))

    def test_no_row_is_made_for_another_tenant(self, tenantry_ground: Ground) -> None:
        refuse(list(found_in_inserts(tenantry_ground)))


def _expected(refusal: type[TenantryError], what: str, attempt: Callable[[], object]) -> Iterator[Finding]:
    try:
        attempt()
    except refusal:
        return
    except TenantryError as error:
        yield Finding("key", what, f"is answered by {type(error).__name__}, not {refusal.__name__}.", _FIX)
        return
    yield Finding("key", what, f"opens, where {refusal.__name__} was to be raised.", _FIX)


def _open(ground: Ground, key: Any) -> None:
    with ground.tenancy.session(key) as session:
        session.execute(select(1))


def _rolled_back(table: Table, side: Side) -> Callable[[Session], None]:
    another = Side(side.slug, side.id, rows=dict(side.rows), known=side.known)

    def work(session: Session) -> None:
        try:
            another.add(session, table)
        finally:
            session.rollback()

    return work


def _own_key(table: Table, side: Side) -> tuple[Any, ...]:
    return tuple(side.rows[table.name][column.name] for column in table.primary_key if column.name != TENANT_COLUMN)


def _tenant_of(model: Any, key: tuple[Any, ...]) -> Callable[[Session], Any]:
    return lambda session: getattr(session.get(model, key), TENANT_COLUMN, None)


def _inserting(table: Table, row: dict[str, Any]) -> Callable[[Session], Any]:
    return lambda session: session.execute(insert(table).values(row))


def _refused(done: object) -> str | None:
    """Returns what a refusal says, the driver's own words where it has some, or None."""
    return str(getattr(done, "orig", done)) if isinstance(done, Exception) else None


def _given(model: Any, side: Side) -> Callable[[Session], None]:
    def work(session: Session) -> None:
        session.add(model(tenant_id=side.id))
        session.flush()

    return work
