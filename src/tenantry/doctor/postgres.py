"""One PostgreSQL server examined: its logins, its common database, and the database of each tenant that has one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.engine import URL

from tenantry.catalog.tables import CATALOG_SCHEMA
from tenantry.doctor import (
    bypasses,
    extensions,
    fences,
    grants,
    keeping,
    keys,
    logins,
    orphans,
    placements,
    questions,
    searches,
    versions,
    walls,
)
from tenantry.doctor.connecting import NoAnswer, pooler_version, reading
from tenantry.doctor.logins import Staff, read_roles
from tenantry.doctor.placements import Census
from tenantry.doctor.scene import PHYSICAL, Scene
from tenantry.doctor.snapshot import Snapshot, take
from tenantry.events import announce
from tenantry.isolation.database import mark_of
from tenantry.isolation.marks import without_revision
from tenantry.isolation.postgres import APP, OPERATOR, OWNER, PLATFORM, PostgresServer
from tenantry.isolation.servers import MAIN
from tenantry.types import Finding, Isolation

if TYPE_CHECKING:
    from tenantry.doctor.connecting import Connection

_ACTION: Final = "Examining"


@dataclass(frozen=True)
class Ward:
    """What is known of a server once its logins have been tried."""

    server: PostgresServer
    urls: Mapping[str, URL]
    given: Mapping[str, Any]

    @property
    def prefix(self) -> str:
        """What stands before each name of a server that is not the main one."""
        return "" if self.server.name == MAIN else f"{self.server.name}: "

    @property
    def reader(self) -> URL:
        """The login that sees most."""
        return self.urls[OWNER if OWNER in self.given else next(iter(self.given))]

    @property
    def counter(self) -> URL | None:
        """The login that may act as the operator, if any was given."""
        able = [kind for kind in (OPERATOR, OWNER) if kind in self.given]
        if not able and self.demoted:
            able = [APP]
        return self.urls[able[0]] if able else None

    @property
    def demoted(self) -> bool:
        """Whether sessions of the app's login step down to the app's role."""
        app = self.given.get(APP)
        return app is not None and app.past_the_wall and (app.embedded or self.server.config.demote)

    @property
    def revocable(self) -> bool:
        """Whether install() ran with the right to take what PUBLIC has of pg_catalog."""
        owner = self.given.get(OWNER) or self.given.get(APP)
        return owner is not None and owner.superuser

    def staff(self, connection: Connection) -> Staff:
        """Returns the logins of the server."""
        names = {kind: row.name for kind, row in self.given.items()}
        return Staff(read_roles(connection), self.server.config, names, self.demoted, self.prefix)


def examine(server: PostgresServer, census: Census, *, jobs: int) -> Iterator[Finding]:
    """Yields all that is found on one server, in its common database and in its tenants' own."""
    urls = {kind: server.url(kind, action=_ACTION) for kind in _kinds(server)}
    tried = {kind: _try(url) for kind, url in urls.items()}
    ward = Ward(server, urls, {kind: row for kind, row in tried.items() if not isinstance(row, str)})
    for kind, row in tried.items():
        where = f"{kind} login"
        if isinstance(row, str):
            yield _silent(ward, where, row)
        else:
            yield from logins.judge_encryption(encrypted=row.encrypted, near=row.near, where=ward.prefix + where)
    if not ward.given:
        return
    try:
        yield from _examine_common(ward, census, jobs=jobs)
    except NoAnswer as error:
        yield _silent(ward, server.database, str(error))


def _examine_common(ward: Ward, census: Census, *, jobs: int) -> Iterator[Finding]:
    announce("doctor", "look", what=f"{ward.prefix}{ward.server.database}")
    with reading(ward.reader) as connection:
        staff = ward.staff(connection)
        missing = staff.missing_groups()
        if missing:
            message = f"The roles {', '.join(missing)} do not exist."
            yield Finding("D108", ward.prefix + ward.server.database, message, "Run `tenantry install`.")
            return
        snapshot = take(connection, staff.audience().everybody)
        databases = {row.name: row.comment for row in connection.execute(questions.DATABASES)}
    scene = _scene(ward, staff, snapshot, _tenant_schemas(snapshot, census), home=True)
    yield from _judge_server(ward, scene, staff)
    yield from _judge_placements(ward, scene, census, databases=databases)
    yield from _examine_databases(ward, staff, _standing_databases(census, databases), jobs=jobs)


def _kinds(server: PostgresServer) -> list[str]:
    return [APP, *(kind for kind in (OWNER, PLATFORM, OPERATOR) if server.has_login(kind))]


def _try(url: URL) -> Any:
    """Returns who a login is, or why it cannot come in."""
    try:
        with reading(url) as connection:
            return connection.execute(questions.WHO).fetchone()
    except NoAnswer as error:
        return str(error)


def _silent(ward: Ward, what: str, reason: str) -> Finding:
    fix = "Check that the server runs, and the host, database, login and password of the URL."
    return Finding("D901", f"{ward.prefix}{what}", f"{ward.server.location} does not let it in: {reason}", fix)


def _tenant_schemas(snapshot: Snapshot, census: Census) -> frozenset[str]:
    """Returns the schemas whose tables are judged: those of living tenants, or all that look like one."""
    if census.tenants is None:
        return frozenset(name for name in snapshot.schemas if PHYSICAL.fullmatch(name))
    return snapshot.schemas & census.placed(Isolation.SCHEMA).keys()


def _scene(ward: Ward, staff: Staff, snapshot: Snapshot, tenant_schemas: frozenset[str], *, home: bool) -> Scene:
    return Scene(
        snapshot=snapshot,
        metadata=ward.server.metadata,
        config=ward.server.config,
        audience=staff.audience(),
        prefix=ward.prefix if home else f"{ward.prefix}{snapshot.database}/",
        tenant_schemas=tenant_schemas,
        home=home,
        holds_catalog=home and ward.server.name == MAIN,
    )


def _judge_server(ward: Ward, scene: Scene, staff: Staff) -> Iterator[Finding]:
    snapshot = scene.snapshot
    owners = frozenset(relation.owner for relation in scene.walled.values())
    yield from logins.judge(staff, owners)
    if scene.holds_catalog and CATALOG_SCHEMA not in snapshot.schemas:
        message = "The schema of the catalog is not there."
        yield Finding("D108", scene.title(snapshot.database), message, "Run `tenantry install`.")
    yield from versions.judge_postgres(snapshot.version, embedded=snapshot.embedded, where=ward.server.location)
    yield from _judge_pooler(ward)
    yield from _judge_database(ward, scene)


def _judge_database(ward: Ward, scene: Scene) -> Iterator[Finding]:
    yield from walls.judge(scene)
    yield from grants.judge(scene, revocable=ward.revocable)
    yield from keeping.judge(scene)
    yield from fences.judge(scene)
    yield from keys.judge(scene)
    yield from bypasses.judge(scene)
    yield from searches.judge(scene)
    yield from extensions.judge(scene)
    yield from orphans.judge(scene, ward.counter)


def _judge_pooler(ward: Ward) -> Iterator[Finding]:
    """Asks what stands between for its version, where the server says that it listens elsewhere."""
    url, app = ward.urls[APP], ward.given.get(APP)
    if app is None or app.port == (url.port or 5432) or not url.host or url.host.startswith("/"):
        return
    banner = pooler_version(url)
    if banner:
        yield from versions.judge_pgbouncer(banner, where=f"{url.host}:{url.port}")


def _judge_placements(ward: Ward, scene: Scene, census: Census, *, databases: Mapping[str, str]) -> Iterator[Finding]:
    schemas = {name for name in scene.snapshot.schemas if PHYSICAL.fullmatch(name)}
    drop = "DROP SCHEMA {name} CASCADE;"
    yield from placements.judge(census, Isolation.SCHEMA, present=schemas, title=scene.title, drop=drop)
    known = {tenant.physical for tenant in census.tenants or ()}
    mark = mark_of(ward.server.database)
    ours = {name for name, comment in databases.items() if without_revision(comment) == mark or name in known}
    drop = "DROP DATABASE {name} WITH (FORCE);"
    yield from placements.judge(census, Isolation.DATABASE, present=ours, title=scene.title, drop=drop)
    for name in sorted(name for name, comment in databases.items() if not comment and name not in known):
        message = (
            "It is named like a tenant's database, bears no installation's mark, and no tenant of ours lives in it."
        )
        yield Finding("N603", scene.title(name), message, f"If nobody needs it: DROP DATABASE {name};")


def _standing_databases(census: Census, databases: Mapping[str, str]) -> list[str]:
    return [name for name in census.placed(Isolation.DATABASE) if name in databases]


def _examine_databases(ward: Ward, staff: Staff, names: Iterable[str], *, jobs: int) -> Iterator[Finding]:
    def look(name: str) -> list[Finding]:
        announce("doctor", "look", what=f"{ward.prefix}{name}")
        try:
            with reading(ward.reader.set(database=name)) as connection:
                snapshot = take(connection, staff.audience().everybody)
            return list(_judge_database(ward, _scene(ward, staff, snapshot, frozenset(), home=False)))
        except NoAnswer as error:
            return [_silent(ward, name, str(error))]

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for found in pool.map(look, names):
            yield from found
