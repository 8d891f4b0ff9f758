"""Sample rows brought into tenants: in bulk, in the order their tables need, and the same rows only once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Column, Table, UniqueConstraint, insert, inspect, select, tuple_, update
from sqlalchemy.orm import Mapper

from tenantry.errors import ConfigurationError, TenantNotFound
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.wall import quote
from tenantry.models import TENANT_COLUMN, is_walled
from tenantry.models.numbering import numbered_column
from tenantry.models.soft_delete import INCLUDE_DELETED
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant, TenantStatus

BATCH: Final = 2_000
JOBS: Final = 3

# A row that was soft-deleted is there.
_SEEN: Final = {INCLUDE_DELETED: True}

Row = dict[str, Any]
Told = Callable[[int], None]
_Circles = dict[Mapper[Any], set[str]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One tenant with everything it brings: each row has an ``id``, or all columns of some unique constraint.

    ``rows`` are by mapped class, and by the names of its attributes; the tenant's own columns are filled in. Rows that
    refer to others of their own table stand behind them.
    """

    slug: str
    name: str
    isolation: Isolation | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    identities: Sequence[tuple[str, str]] = ()
    # A Mapping's keys are invariant: with type as the key, a dict of one base's classes would not fit.
    rows: Mapping[Any, Sequence[Row]] = field(default_factory=dict)
    server: str | None = None

    @property
    def size(self) -> int:
        """How many rows there are to load."""
        return sum(len(rows) for rows in self.rows.values())


def load(tenancy: Tenancy, sample: Sample, *, told: Told = lambda _: None) -> int:
    """Makes the tenant of *sample* where there is none, inserts the rows that are not there, and returns how many.

    *told* hears after each batch how many more rows are in. Behaviours that look at single objects, such as the
    audit, see nothing of it.

    Raises: ConfigurationError for rows that have no key, or that no tenant owns; TenantSuspended; LoginRequired where
        numbered rows come to PostgreSQL without the owner's login.
    """
    return _load(tenancy, sample, told=told, stop=threading.Event())


def load_all(tenancy: Tenancy, samples: Sequence[Sample], *, told: Told = lambda _: None, jobs: int = JOBS) -> int:
    """Loads several samples at once, *jobs* at a time; interrupted, it ends after the batches that are under way.

    Raises: as ``load``.
    """
    stop = threading.Event()
    largest_first = sorted(samples, key=lambda sample: -sample.size)
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_load, tenancy, sample, told=told, stop=stop) for sample in largest_first]
        try:
            return sum(future.result() for future in as_completed(futures))
        finally:
            stop.set()


def tenant_of(tenancy: Tenancy, sample: Sample) -> Tenant:
    """Returns the tenant of *sample*, which is made where there is none.

    Raises: as ``tenancy.tenants.create``.
    """
    with contextlib.suppress(TenantNotFound):
        found = tenancy.tenants.get(sample.slug)
        if found.status is not TenantStatus.PROVISIONING:
            return found
    return tenancy.tenants.create(
        sample.slug,
        name=sample.name,
        isolation=sample.isolation,
        server=sample.server,
        identities=sample.identities,
        record=dict(sample.record) or None,
    )


@dataclass(frozen=True)
class _Kind:
    """The rows of one class: by which attributes they are known, and which wait until all rows stand."""

    mapper: Mapper[Any]
    rows: Sequence[Row]
    key: tuple[str, ...]
    waiting: tuple[str, ...]

    @property
    def table(self) -> Table:
        """The table, for a class of joined inheritance its own."""
        return self.mapper.local_table  # type: ignore[return-value]  # mapped to a Table wherever it is walled

    def attributes(self) -> list[Any]:
        """Returns the key as the class has it."""
        return [getattr(self.mapper.class_, name) for name in self.key]

    def batches(self) -> Iterator[Sequence[Row]]:
        """Yields the rows, so many at a time."""
        return (self.rows[start : start + BATCH] for start in range(0, len(self.rows), BATCH))


def _load(tenancy: Tenancy, sample: Sample, *, told: Told, stop: threading.Event) -> int:
    kinds = list(_kinds(tenancy, sample))
    tenant = tenant_of(tenancy, sample)
    added = 0
    for kind in kinds:
        empty = _is_empty(tenancy, tenant, kind)
        for batch in kind.batches():
            if stop.is_set():
                return added
            added += _add(tenancy, tenant, kind, batch, empty=empty)
            told(len(batch))
    for kind in kinds:
        _close_circle(tenancy, tenant, kind)
        _go_on_after(tenancy, tenant, kind)
    return added


def _kinds(tenancy: Tenancy, sample: Sample) -> Iterator[_Kind]:
    """Yields what a sample brings, those referred to before the referring."""
    mappers: dict[Mapper[Any], Sequence[Row]] = {inspect(model): rows for model, rows in sample.rows.items()}
    for mapper in mappers:
        table: Any = mapper.local_table
        if not is_walled(table) or table.metadata is not tenancy.metadata:
            raise ConfigurationError(
                what=f"The sample {sample.slug!r} brings rows of {mapper.class_.__name__}, which no tenant owns.",
                fix="Write Platform and Shared rows through tenancy.platform().",
            )
    circles: _Circles = {mapper: set() for mapper in mappers}
    for mapper in _in_order(list(mappers), circles):
        yield _Kind(mapper, mappers[mapper], _key(mapper, mappers[mapper]), tuple(sorted(circles[mapper])))


def _in_order(mappers: Sequence[Mapper[Any]], circles: _Circles) -> Sequence[Mapper[Any]]:
    """Returns the classes in an order for inserts; references that would close a circle are noted to wait."""
    while True:
        try:
            leads = {mapper: _needed(mapper, mappers, circles[mapper]) for mapper in mappers}
            return list(TopologicalSorter(leads).static_order())
        except CycleError as error:
            _open_circle(error.args[1], circles)


def _needed(mapper: Mapper[Any], mappers: Sequence[Mapper[Any]], waiting: set[str]) -> list[Mapper[Any]]:
    return [other for other in mappers if other is not mapper and any(_references(mapper, other, waiting))]


def _open_circle(around: Sequence[Mapper[Any]], circles: _Circles) -> None:
    # Each in the list is needed by the next.
    for needed, mapper in pairwise(around):
        columns = [column for found in _references(mapper, needed, circles[mapper]) for column in found]
        if all(column.nullable for column in columns):
            circles[mapper].update(_names(mapper, columns))
            return
    names = ", ".join(mapper.class_.__name__ for mapper in around)
    raise ConfigurationError(
        what=f"Rows of {names} each need another to stand before them.", fix="Let one of their references be nullable."
    )


def _references(mapper: Mapper[Any], other: Mapper[Any], waiting: set[str]) -> Iterator[list[Column[Any]]]:
    """Yields, for each reference from a class to another that does not wait, its columns without the tenant's."""
    for table in mapper.tables:
        for constraint in table.foreign_key_constraints:  # type: ignore[attr-defined]  # of a Table
            columns = [column for column in constraint.columns if column.name != TENANT_COLUMN]
            target = constraint.referred_table
            leads_there = target in other.tables and target not in mapper.tables
            if leads_there and columns and not waiting.issuperset(_names(mapper, columns)):
                yield columns


def _key(mapper: Mapper[Any], rows: Sequence[Row]) -> tuple[str, ...]:
    """Returns the attributes by which the rows are known: their own id, or else a unique constraint's."""
    table: Any = mapper.local_table
    unique = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    candidates = [table.primary_key, *sorted(unique, key=lambda each: str(each.name))]
    for constraint in candidates:
        names = _names(mapper, [column for column in constraint if column.name != TENANT_COLUMN])
        if names and all(row.get(name) is not None for row in rows for name in names):
            return names
    raise ConfigurationError(
        what=f"Rows of {mapper.class_.__name__} in a sample lack what they could be known by.",
        fix="Give each an id that is always the same, such as uuid5(namespace, name), or all columns of a constraint.",
    )


def _names(mapper: Mapper[Any], columns: Sequence[Column[Any]]) -> tuple[str, ...]:
    return tuple(mapper.get_property_by_column(column).key for column in columns)


def _is_empty(tenancy: Tenancy, tenant: Tenant, kind: _Kind) -> bool:
    any_row = select(*kind.attributes()).limit(1)
    with tenancy.session(tenant, read_only=True) as db:
        return db.execute(any_row, execution_options=_SEEN).first() is None


def _add(tenancy: Tenancy, tenant: Tenant, kind: _Kind, rows: Sequence[Row], *, empty: bool) -> int:
    left_out = set(kind.waiting)
    with tenancy.transaction(tenant) as db:
        present = set() if empty else _present(db, kind, rows)
        missing = [row for row in rows if tuple(row[name] for name in kind.key) not in present]
        given = [{name: value for name, value in row.items() if name not in left_out} for row in missing]
        if given:
            db.execute(insert(kind.mapper.class_), [row | {TENANT_COLUMN: tenant.id} for row in given])
    return len(given)


def _present(db: TenantSession, kind: _Kind, rows: Sequence[Row]) -> set[tuple[Any, ...]]:
    key, values = kind.attributes(), [tuple(row[name] for name in kind.key) for row in rows]
    wanted = key[0].in_([value for (value,) in values]) if len(key) == 1 else tuple_(*key).in_(values)
    return {tuple(row) for row in db.execute(select(*key).where(wanted), execution_options=_SEEN)}


def _close_circle(tenancy: Tenancy, tenant: Tenant, kind: _Kind) -> None:
    """Writes the references that had to wait until the rows they lead to stood."""
    given = [row for row in kind.rows if any(row.get(name) is not None for name in kind.waiting)]
    if not given:
        return
    key = kind.attributes()
    with tenancy.transaction(tenant) as db:
        for row in given:
            own = [attribute == row[name] for attribute, name in zip(key, kind.key, strict=True)]
            unset = [getattr(kind.mapper.class_, name).is_(None) for name in kind.waiting]
            values = {name: row.get(name) for name in kind.waiting}
            db.execute(update(kind.mapper.class_).where(*own, *unset).values(values))


def _go_on_after(tenancy: Tenancy, tenant: Tenant, kind: _Kind) -> None:
    """Has PostgreSQL number the next row after the highest number given; on SQLite the tenant's counter does so."""
    column = numbered_column(kind.table)
    server: Any = tenancy.servers.get(tenant.server)
    if column is None or not isinstance(server, PostgresServer):
        return
    name = kind.mapper.get_property_by_column(column).key
    highest = max((row[name] for row in kind.rows if row.get(name) is not None), default=0)
    if highest < 1:
        return
    inside = tenant.physical if tenant.isolation is Isolation.DATABASE else None
    schema = tenant.physical if tenant.isolation is Isolation.SCHEMA else server.config.common_schema
    table = f"{quote(schema)}.{quote(kind.table.name)}"
    with server.owner(action="Numbering sample rows", database=inside) as connection:
        (sequence,) = connection.execute("SELECT pg_get_serial_sequence(%s, %s)", (table, column.name)).fetchone()
        # Never back: neighbours may draw from the same sequence.
        connection.execute(f"SELECT setval('{sequence}', {highest:d}) FROM {sequence} WHERE last_value < {highest:d}")
