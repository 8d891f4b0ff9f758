"""One PostgreSQL database as its system catalog describes it, read in one transaction that changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tenantry.doctor import questions

if TYPE_CHECKING:
    from tenantry.doctor.connecting import Connection

T = TypeVar("T")
P = TypeVar("P", "Policy", "Trigger")

PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, partitioned table, view, materialized view or foreign table."""

    oid: int
    schema: str
    name: str
    kind: str
    enabled: bool
    forced: bool
    options: list[str]
    owner: str
    of_extension: bool

    @property
    def is_table(self) -> bool:
        """Whether it holds rows of its own, or a foreign server's."""
        return self.kind in "rpf"

    @property
    def title(self) -> str:
        """Its name with its schema."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy of one table."""

    relation: int
    name: str
    permissive: bool
    command: str
    roles: list[str]
    using_test: str | None
    check_test: str | None


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger that keeps the rows of an append-only table, and the body of the function that it runs."""

    relation: int
    name: str
    enabled: bool
    body: str


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension of the database, and the schema in which its types and operators stand."""

    name: str
    schema: str
    version: str


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique or excluding index."""

    relation: int
    name: str
    is_primary: bool
    columns: list[str]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key, its columns as pairs ``own>other``."""

    relation: int
    target: int
    name: str
    pairs: list[str]


@dataclass(frozen=True, slots=True)
class TenantColumn:
    """The tenant_id of one relation."""

    relation: int
    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class Function:
    """A SECURITY DEFINER function; *callers* are those who may run it, its owner among them."""

    schema: str
    signature: str
    name: str
    owner: str
    language: str
    body: str
    settings: list[str]
    callers: list[str]

    @property
    def pinned(self) -> bool:
        """Whether it finds names by a search path of its own."""
        return any(setting.startswith("search_path=") for setting in self.settings)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one database holds."""

    database: str
    version: int
    embedded: bool
    large_objects: int
    relations: Mapping[int, Relation]
    policies: Mapping[int, list[Policy]]
    triggers: Mapping[int, list[Trigger]]
    grants: Mapping[int, Mapping[str, list[str]]]
    uniques: list[Unique]
    foreign_keys: list[ForeignKey]
    tenant_columns: Mapping[int, TenantColumn]
    parents: Mapping[int, set[int]]
    views: Mapping[int, set[int]]
    functions: list[Function]
    searched: Mapping[int, str]
    schemas: frozenset[str]
    schema_creators: list[tuple[str, str]]
    database_grants: Mapping[str, list[str]]
    large_object_functions: list[tuple[str, str]]
    default_privileges: list[tuple[str, str, str]]
    types: list[tuple[str, str]]
    reaching: list[str]
    extensions: Mapping[str, Extension]


class Reader:
    """Asks one connection and gives typed answers."""

    def __init__(self, connection: Connection, watched: Iterable[str]) -> None:
        self._connection = connection
        self._watched = sorted(watched)

    def rows(self, question: str) -> list[Any]:
        """Returns the rows of one question."""
        given = {"watched": self._watched} if "%(watched)s" in question else None
        return self._connection.execute(question, given).fetchall()

    def all(self, question: str, kind: type[T]) -> list[T]:
        """Returns the rows of one question as objects of *kind*."""
        return [kind(**row._asdict()) for row in self.rows(question)]


def take(connection: Connection, watched: Iterable[str]) -> Snapshot:
    """Returns the snapshot of the connection's database, with the rights of PUBLIC and of the *watched* roles."""
    reader = Reader(connection, watched)
    about = reader.rows(questions.ABOUT)[0]
    return Snapshot(
        database=about.database,
        version=about.version,
        embedded=about.embedded,
        large_objects=about.large_objects,
        relations={relation.oid: relation for relation in reader.all(questions.RELATIONS, Relation)},
        policies=_by_relation(reader.all(questions.POLICIES, Policy)),
        triggers=_by_relation(reader.all(questions.TRIGGERS, Trigger)),
        grants=_nested(reader.rows(questions.GRANTS)),
        uniques=reader.all(questions.UNIQUES, Unique),
        foreign_keys=reader.all(questions.FOREIGN_KEYS, ForeignKey),
        tenant_columns={column.relation: column for column in reader.all(questions.TENANT_COLUMNS, TenantColumn)},
        parents=_sets(reader.rows(questions.CHILDREN)),
        views=_sets(reader.rows(questions.VIEWS)),
        functions=reader.all(questions.FUNCTIONS, Function),
        searched={row.relation: row.comment for row in reader.rows(questions.SEARCHED)},
        schemas=frozenset(row[0] for row in reader.rows(questions.SCHEMAS)),
        schema_creators=[tuple(row) for row in reader.rows(questions.SCHEMA_CREATORS)],
        database_grants={row.grantee: row.privileges for row in reader.rows(questions.DATABASE_GRANTS)},
        large_object_functions=[tuple(row) for row in reader.rows(questions.LARGE_OBJECT_FUNCTIONS)],
        default_privileges=[tuple(row) for row in reader.rows(questions.DEFAULT_PRIVILEGES)],
        types=[tuple(row) for row in reader.rows(questions.TYPES)],
        reaching=[row[0] for row in reader.rows(questions.REACHING)],
        extensions={found.name: found for found in reader.all(questions.EXTENSIONS, Extension)},
    )


def _by_relation(things: Iterable[P]) -> dict[int, list[P]]:
    found: dict[int, list[P]] = defaultdict(list)
    for thing in things:
        found[thing.relation].append(thing)
    return dict(found)


def _nested(rows: Iterable[Any]) -> dict[int, dict[str, list[str]]]:
    found: dict[int, dict[str, list[str]]] = defaultdict(dict)
    for row in rows:
        found[row.relation][row.grantee] = row.privileges
    return dict(found)


def _sets(rows: Iterable[Any]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = defaultdict(set)
    for key, value in rows:
        found[key].add(value)
    return dict(found)
