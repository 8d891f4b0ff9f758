"""One database per customer: registered as it stands, and given keys later by the same stages."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tenantry import Tenancy
from tenantry.doctor import examine
from tenantry.errors import (
    AdoptionRefused,
    ConfigurationError,
    InvalidSlug,
    TenantCreationDisabled,
    TenantExists,
    TenantUnavailable,
)
from tenantry.fleet.adopting import Adoption, Stage
from tenantry.fleet.homes import homes_of
from tenantry.fleet.scripts import AlembicHistory
from tenantry.settings import Config
from tenantry.types import Isolation, TenantStatus

from . import branches
from .places import Office, PostgresShop, check_walled, engine_of


class Chain:
    """Two branches with a database each, beside an installation that knows neither."""

    def __init__(self, tenancy: Tenancy, urls: dict[str, str], engines: dict[str, sa.Engine]) -> None:
        self.tenancy = tenancy
        self.urls = urls
        self.engines = engines

    def adopt(self, name: str) -> Adoption:
        self.tenancy.tenants.adopt(name, self.urls[name])
        return self.adoption(name)

    def adoption(self, name: str) -> Adoption:
        return Adoption(self.tenancy, branches.plan(name), batch=7)

    def run(self, name: str, *statements: str) -> None:
        with self.engines[name].begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def stands(self, name: str) -> Any:
        """Returns all that a database is, to be compared."""
        if self.engines[name].dialect.name == "sqlite":
            return hashlib.sha256(Path(self.urls[name].removeprefix("sqlite:///")).read_bytes()).hexdigest()
        with self.engines[name].connect() as connection:
            inspector = sa.inspect(connection)
            found = [inspector.get_multi_columns(), inspector.get_multi_indexes(), inspector.get_schema_names()]
            access = "select datacl::text, shobj_description(oid, 'pg_database') from pg_database"
            access += " where datname = current_database()"
            return repr((found, connection.execute(sa.text(access)).all()))

    def check(self, name: str) -> None:
        """Says that the branch sees its rows and those alone, however alike they are to the other's."""
        other = self.tenancy.tenants.get(branches.NAMES[1 - branches.NAMES.index(name)]).id
        with self.tenancy.session(name) as session:
            for table, rows in branches.counted(name).items():
                assert session.scalar(sa.text(f"select count(*) from {table}")) == rows
            names = session.scalars(sa.text("select name from clients order by id")).all()
            assert names == [client["name"] for client in branches.clients(name)]
            check_walled(session, other, branches.counted(name))
            assert len(session.scalars(sa.select(branches.Currency)).all()) == len(branches.CURRENCIES)


@pytest.fixture(params=["postgresql", pytest.param("sqlite", marks=pytest.mark.soak)])
def chain(request: pytest.FixtureRequest, office: Office, tmp_path: Path) -> Iterator[Chain]:
    with on_postgres(office) if request.param == "postgresql" else on_sqlite(tmp_path) as found:
        with found.tenancy.platform() as session:
            session.execute(sa.insert(branches.Currency), branches.CURRENCIES)
            session.commit()
        yield found
        found.tenancy.close()


@contextlib.contextmanager
def on_postgres(office: Office, **config: Any) -> Iterator[Chain]:
    home: PostgresShop = office.open("template0", models=branches.Base, **config)
    loaded = {}
    for name in branches.NAMES:
        loaded[name] = office.load(lambda url, name=name: branches.load(engine_of(url), name))
    with contextlib.closing(home.tenancy()) as tenancy:
        tenancy.install(create_tables=True)
        urls = {name: office.server.url(database) for name, database in loaded.items()}
        engines = {name: engine_of(office.url(database, office.boss)) for name, database in loaded.items()}
        yield Chain(tenancy, urls, engines)
    home.close()
    for database in loaded.values():
        office.forget(database)


@contextlib.contextmanager
def on_sqlite(directory: Path) -> Iterator[Chain]:
    urls = {name: f"sqlite:///{directory / name}.db" for name in branches.NAMES}
    engines = {name: engine_of(url) for name, url in urls.items()}
    for name, engine in engines.items():
        branches.load(engine, name)
    tenancy = Tenancy(f"sqlite:///{directory / 'data'}", models=branches.Base)
    tenancy.install()
    yield Chain(tenancy, urls, engines)


def test_registered_as_it_stands(chain: Chain) -> None:
    before = chain.stands("ulm")
    tenant = chain.tenancy.tenants.adopt("ulm", chain.urls["ulm"], name="Ulm", identities={"branch": "89"})
    assert chain.stands("ulm") == before
    assert tenant == chain.tenancy.tenants.get(("branch", "89"))
    assert (tenant.status, tenant.isolation, tenant.name) == (TenantStatus.PROVISIONING, Isolation.DATABASE, "Ulm")
    assert tenant.physical in chain.urls["ulm"]
    with pytest.raises(TenantUnavailable):
        chain.tenancy.session("ulm")
    # Creations of others sweep away what is half-made; this is not.
    chain.tenancy.tenants.create("koeln", isolation="rows")
    assert chain.stands("ulm") == before
    assert chain.tenancy.tenants.get("ulm") == tenant


def test_keys_come_later(chain: Chain) -> None:
    for name in branches.NAMES:
        adoption = chain.adopt(name)
        found = adoption.observe()
        assert found.ok, [str(finding) for finding in found.findings]
        assert found.tenants == 1
        for stage in ("fill", "filter", "enforce"):
            assert adoption.advance(stage).ok
    for name in branches.NAMES:
        chain.check(name)
    assert [str(finding) for finding in examine(chain.tenancy).findings if finding.code != "D701"] == []


def test_the_application_goes_on_numbering(chain: Chain) -> None:
    chain.adopt("ulm").advance()
    with chain.tenancy.session("ulm") as session:
        new = branches.Client(name="new")
        session.add(new)
        session.flush()
        assert new.id == len(branches.clients("ulm")) + 1
        session.add(branches.Client(name="ulm 1"))
        with pytest.raises(sa.exc.IntegrityError):
            session.flush()


def test_rolled_back_it_is_registered_as_it_stands(chain: Chain) -> None:
    tenant = chain.tenancy.tenants.adopt("ulm", chain.urls["ulm"])
    adoption = chain.adoption("ulm")
    adoption.advance("filter")
    assert adoption.rollback().stage is Stage.OBSERVE
    assert chain.tenancy.tenants.get("ulm") == tenant
    adoption.advance()
    chain.tenancy.tenants.adopt("bonn", chain.urls["bonn"])
    chain.check("ulm")


def test_what_the_old_application_writes_meanwhile_is_not_lost(chain: Chain) -> None:
    adoption = chain.adopt("ulm")
    adoption.advance("fill")
    chain.run("ulm", "insert into clients (id, name) values (50, 'late')")
    adoption.advance("filter")
    chain.run("ulm", "insert into clients (id, name) values (51, 'later')")
    adoption.advance()
    with chain.tenancy.session("ulm") as session:
        late = sa.select(branches.Client.name).where(branches.Client.id >= 50).order_by(branches.Client.id)
        assert session.scalars(late).all() == ["late", "later"]


def test_reference_rows_that_the_platform_does_not_have_are_found(chain: Chain) -> None:
    chain.run("ulm", "insert into currencies values ('DEM', 'Mark')", "update bills set currency = 'DEM' where id = 1")
    adoption = chain.adopt("ulm")
    assert [(one.code, one.object) for one in adoption.observe().findings] == [("A112", "currencies")]
    with pytest.raises(AdoptionRefused, match="A112"):
        adoption.advance("fill")


def test_a_tenant_that_is_adopted_can_be_erased(chain: Chain) -> None:
    chain.adopt("ulm").advance()
    chain.adopt("bonn").advance()
    gone = chain.tenancy.tenants.erase("ulm", confirm="ulm")
    assert {name: gone[name] for name in branches.counted("ulm")} == branches.counted("ulm")
    with chain.tenancy.session("bonn") as session:
        assert len(session.scalars(sa.select(branches.Client)).all()) == len(branches.clients("bonn"))


def test_what_cannot_be_registered_is_refused(chain: Chain) -> None:
    tenants = chain.tenancy.tenants
    tenants.adopt("ulm", chain.urls["ulm"])
    for slug, url, error in (
        ("bonn", chain.urls["ulm"], ConfigurationError),
        ("ulm", chain.urls["bonn"], TenantExists),
        ("Bonn!", chain.urls["bonn"], InvalidSlug),
        ("bonn", chain.urls["bonn"] + "-missing", ConfigurationError),
        ("bonn", "sqlite:////nowhere/at/all.db", ConfigurationError),
        ("bonn", "postgresql://127.0.0.1:1/bonn", ConfigurationError),
        ("bonn", "mysql://127.0.0.1/bonn", ConfigurationError),
        ("bonn", "no url at all", ConfigurationError),
    ):
        with pytest.raises(error):
            tenants.adopt(slug, url)
    assert [tenant.slug for tenant in tenants.list()] == ["ulm"]


def test_our_own_databases_are_refused(chain: Chain) -> None:
    tenants = chain.tenancy.tenants
    tenants.create("own", isolation="database")
    server = chain.tenancy.servers.main
    if server.kind == "sqlite":
        urls = [f"sqlite:///{Path(server.location) / name}" for name in ("common.sqlite3", tenants.get("own").physical)]
    else:
        databases = (server.database, tenants.get("own").physical, "postgres", "template1", 'a"b')
        urls = [sa.make_url(chain.urls["ulm"]).set(database=name).render_as_string(False) for name in databases]
    for url in urls:
        with pytest.raises(ConfigurationError):
            tenants.adopt("ulm", url)
    tenants.erase("own", confirm="own")


HEAD = """
revision = "4711"
down_revision = None


def upgrade():
    pass
"""


def test_adopted_homes_stand_at_the_head_of_the_scripts(office: Office, tmp_path: Path) -> None:
    """The common tables, a customer's database and a customer's file alike; what another history noted there goes."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "first.py").write_text(HEAD)
    with on_postgres(office, migrations=str(tmp_path)) as chain:
        with chain.tenancy.platform() as session:
            session.execute(sa.insert(branches.Currency), branches.CURRENCIES)
            session.commit()
        chain.run("ulm", "create table alembic_version (version_num varchar(32))")
        chain.run("ulm", "insert into alembic_version values ('another')")
        chain.adopt("ulm").advance()
        assert revisions(chain.tenancy) == {"main/common": "4711", "ulm": "4711"}
        assert [str(finding) for finding in examine(chain.tenancy).findings if finding.code != "D701"] == []


def revisions(tenancy: Tenancy) -> dict[str, str | None]:
    return {str(home): revision for home, revision in AlembicHistory(tenancy).read(list(homes_of(tenancy))).items()}


def test_creating_switched_off_is_adopting_switched_off(tmp_path: Path) -> None:
    branches.load(engine_of(f"sqlite:///{tmp_path}/ulm.db"), "ulm")
    config = Config(allow_tenant_creation=False)
    with contextlib.closing(Tenancy(f"sqlite:///{tmp_path / 'data'}", models=branches.Base, config=config)) as tenancy:
        tenancy.install()
        with pytest.raises(TenantCreationDisabled):
            tenancy.tenants.adopt("ulm", f"sqlite:///{tmp_path}/ulm.db")
