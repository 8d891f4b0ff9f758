"""The code blocks of the seed of documents, run as they are printed, and what stands around them."""

from __future__ import annotations

import asyncio
import os
import re
import runpy
import secrets
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from sqlalchemy import select

from tenantry import Tenancy
from tenantry.errors import ConfigurationError, DropRefused, NotInitialized
from tenantry.packs import documents
from tenantry.packs.documents import (
    CacheManager,
    DatabaseInitializer,
    DatabaseInitializerConfig,
    DatabaseManager,
    Document,
    DocumentsBase,
    Organization,
    PostgresConnectionConfig,
    PostgresPoolConfig,
    RepositoryFactory,
    SecurityManager,
    User,
    UserRepository,
)
from tenantry.session.core import TenantSession

from .running import BLOCKS, replaced, run_block

ROOTS = {"axai_pg": "tenantry.packs.documents"}
EXAMPLES = Path(__file__).parents[2] / "examples" / "documents"
BASH = (13, 25, 53, 65, 83, 385)


@pytest.fixture(scope="module")
def environment(postgres: Any) -> Iterator[dict[str, str]]:
    """The environment of a program whose database is called as the document calls it."""
    parts = urlsplit(postgres.url())
    named = {
        "POSTGRES_HOST": parts.hostname or "",
        "POSTGRES_PORT": str(parts.port),
        "POSTGRES_DB": f"test_{os.getpid()}",
        "POSTGRES_USER": unquote(parts.username or ""),
        "POSTGRES_PASSWORD": unquote(parts.password or ""),
    }
    yield named
    with postgres.admin() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {named['POSTGRES_DB']} WITH (FORCE)")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[DatabaseManager]:
    """The program's manager, over files."""
    tenancy = Tenancy(f"sqlite:///{tmp_path}/data", models=DocumentsBase)
    made = DatabaseManager.initialize(tenancy)
    tenancy.install(create_tables=True)
    yield made
    DatabaseManager.reset()
    tenancy.close()


def program(environment: dict[str, str], *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of the examples."""
    chosen = {**os.environ, **environment, "PYTHON": sys.executable, **more}
    return subprocess.run(command, cwd=EXAMPLES, env=chosen, capture_output=True, text=True, timeout=300, check=False)


def fail(manager: DatabaseManager) -> None:
    with manager.session_scope("acme") as session:
        session.add(User(email="cora@acme.example"))
        session.flush()
        raise RuntimeError


@pytest.mark.ledger("S2-017", "S2-019", "S2-020", "S2-001")
def test_line_237_sessions(manager: DatabaseManager) -> None:
    found = run_block("002", 237, roots=ROOTS)
    assert found["db"] is manager
    with found["db"].session_scope() as session:
        session.add(Organization(name="Acme"))
    assert manager.tenancy.tenants.get("acme").name == "Acme"
    with manager.session_scope("acme") as session:
        session.add(User(email="ann@acme.example"))
        session.commit()
        session.add(User(email="bob@acme.example"))
    with pytest.raises(RuntimeError):
        fail(manager)
    with manager.session_scope("acme") as session:
        assert [user.email for user in UserRepository(session).active()] == ["ann@acme.example", "bob@acme.example"]


@pytest.mark.ledger("S2-018", "S2-064")
def test_one_manager(manager: DatabaseManager) -> None:
    assert DatabaseManager.get_instance() is DatabaseManager.initialize(manager.tenancy) is manager
    with pytest.raises(ConfigurationError):
        DatabaseManager.initialize(manager.tenancy, PostgresPoolConfig(pool_size=1))
    DatabaseManager.reset()
    with pytest.raises(NotInitialized, match=r"^DatabaseManager not initialized"):
        DatabaseManager.get_instance()


@pytest.fixture(scope="module")
def stranger(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of the printed block, by a fixture imported alone, and of the example of testing beside it."""
    folder = tmp_path_factory.mktemp("stranger")
    block = folder / "test_block.py"
    # Twice, since of two organisations of one name the second would not be called the same.
    again = "\n\ndef test_again(axai_db_session):\n    test_integration(axai_db_session)\n"
    block.write_text(replaced(BLOCKS["002"][339].text, ROOTS) + again, encoding="utf-8")
    options = ["-v", "-v", "-W", "error", "-p", "no:cacheprovider", f"--rootdir={folder}"]
    ran = program(environment, "./run_tests.sh", *options, str(block), AXAI_AUTO_DROP_DB="true")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.ledger("S2-078", "S2-008")
def test_line_339_a_session_that_undoes_what_was_committed(stranger: str) -> None:
    for name in ("test_block.py::test_integration", "test_block.py::test_again"):
        assert f"{name} PASSED" in stranger


@pytest.mark.ledger("S2-084", "S2-005", "S2-083")
def test_the_example_of_testing(stranger: str) -> None:
    assert stranger.count(" PASSED") == 8
    assert "::test_there_is_nothing_of_the_test_before PASSED" in stranger


@pytest.mark.ledger("S2-076", "S2-077", "S2-079", "S2-080", "S2-081")
def test_the_other_fixtures(stranger: str, environment: dict[str, str], postgres: Any) -> None:
    for name in ("test_a_session_belongs_to_one_organisation", "test_a_new_database"):
        assert f"::{name} PASSED" in stranger
    with postgres.admin() as connection:
        question = "SELECT count(*) FROM pg_database WHERE datname = %s"
        assert connection.execute(question, (environment["POSTGRES_DB"],)).fetchone() == (0,)


@pytest.mark.ledger("S2-063", "S2-070", "S2-075", "S2-073", "S2-074")
def test_line_356_the_initializer(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, postgres: Any) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = run_block("002", 356, roots=ROOTS)
    assert found["db_init"].get_connection_config() == PostgresConnectionConfig.from_env()
    assert isinstance(found["session"], TenantSession)
    with postgres.admin() as connection:
        question = "SELECT count(*) FROM pg_database WHERE datname = %s"
        assert connection.execute(question, (environment["POSTGRES_DB"],)).fetchone() == (0,)


@pytest.mark.ledger("S2-066", "S2-067", "S2-068", "S2-069", "S2-071")
def test_the_ten_methods(environment: dict[str, str], tmp_path: Path) -> None:
    script, schema = tmp_path / "more.py", tmp_path / "schema.sql"
    script.write_text("manager.tenancy.tenants.create('scripted', record={'name': 'Scripted'})\n", encoding="utf-8")
    schema.write_text("CREATE TABLE notes (note text);\nINSERT INTO notes VALUES ('one');\n", encoding="utf-8")
    config = DatabaseInitializerConfig(connection_config=PostgresConnectionConfig.from_env(environment))
    with DatabaseInitializer(config) as initializer:
        assert initializer.create_database()
        assert not initializer.create_database()
        initializer.apply_schema(schema)
        initializer.apply_schema()
        initializer.load_sample_data()
        initializer.load_sample_data(script)
        manager = initializer.get_database_manager()
        slugs = [tenant.slug for tenant in manager.tenancy.tenants.list()]
        assert {"scripted", "alder-letters"} <= {*slugs}
        with initializer.session_scope("alder-letters") as session:
            assert session.scalars(select(Document.title)).all()
        manager.tenancy.tenants.create("own", isolation="database", record={"name": "Own"})
    with DatabaseInitializer(config) as initializer:
        initializer.drop_database()
        initializer.drop_database()


@pytest.mark.ledger("S2-072", "S2-085")
def test_nothing_but_a_test_database_is_dropped(environment: dict[str, str], tmp_path: Path) -> None:
    production = PostgresConnectionConfig.from_env({**environment, "POSTGRES_DB": "production"})
    config = DatabaseInitializerConfig(connection_config=production, auto_drop_on_exit=True, auto_create_db=False)
    for method in ("drop_database", "reset_database", "teardown_database"):
        with pytest.raises(DropRefused, match="production"):
            getattr(DatabaseInitializer(config), method)()
    assert not DatabaseInitializerConfig(connection_config=production).auto_drop_on_exit
    names = {
        name: PostgresConnectionConfig(database=name, username="u").is_test for name in ("test", "shop_test", "tests_1")
    }
    assert all(names.values())
    for name in ("latest", "contest", "production", "attested_db"):
        assert not PostgresConnectionConfig(database=name, username="u").is_test


@pytest.mark.ledger("S2-021", "S2-023", "S2-024")
def test_line_398_the_environment() -> None:
    pairs = re.findall(r"^(\w+)=(\S+)", BLOCKS["002"][398].text, re.MULTILINE)
    config = DatabaseInitializerConfig.from_env(dict(pairs))
    found = config.connection_config
    assert (found.host, found.port, found.database, found.username) == ("localhost", 5432, "test_db", "test_user")
    assert (found.schema, found.ssl_mode) == ("public", "prefer")
    assert (config.auto_drop_on_exit, config.load_sample_data) == (True, False)
    assert found.password not in repr(config)
    assert found.url == "postgresql://test_user:test_password@localhost:5432/test_db?sslmode=prefer"
    for wrong in ({"POSTGRES_PORT": "x"}, {"POSTGRES_PORT": "0"}, {"POSTGRES_SSL_MODE": "maybe"}, {"POSTGRES_DB": ""}):
        with pytest.raises(ConfigurationError):
            PostgresConnectionConfig.from_env({**dict(pairs), **wrong})


@pytest.mark.ledger("S2-085")
def test_the_pool(manager: DatabaseManager) -> None:
    pool = PostgresPoolConfig()
    assert (pool.pool_size, pool.max_overflow, pool.pool_timeout, pool.pool_recycle) == (5, 5, 30, 1800)
    settings = pool.settings(PostgresConnectionConfig(database="d", username="u", schema="docs"))
    assert (settings.pool_size, settings.max_overflow, settings.common_schema) == (5, 5, "docs")
    assert manager.pool_config == pool


@pytest.mark.ledger("S2-039", "S2-045")
def test_repositories_by_name(manager: DatabaseManager) -> None:
    manager.tenancy.tenants.create("acme", record={"name": "Acme"})
    factory = RepositoryFactory.get_instance()
    assert factory is RepositoryFactory.get_instance()
    wanted = ("user", User, UserRepository, documents.AsyncUserRepository)
    assert len({type(factory.get_repository(each, "acme")) for each in wanted}) == 1
    with pytest.raises(ConfigurationError, match="graph_node"):
        factory.get_repository("invoice")

    class Users(documents.BaseRepository[User]):
        pass

    async def work() -> list[Any]:
        users = factory.get_repository("user", "acme")
        ann = await users.create(email="ann@acme.example")
        papers = factory.get_repository(Document, "acme")
        paper = await papers.create(title="Paper", owner_id=ann.id)
        await papers.create_version(paper.id, content="more")
        own = Users(key="acme")
        try:
            async with own.transaction() as together:
                await together.create(email="bob@acme.example")
                raise RuntimeError
        except RuntimeError:
            left = await own.find_many(is_active=True)
        found = await own.find_by_id(ann.id)
        versions, related = await papers.get_versions(paper.id), await papers.find_related(paper.id, 2)
        named = await factory.get_repository("user").find(User.org_id == ann.org_id)
        await manager.tenancy.aio.close()
        return [len(versions), related, [user.email for user in left], found.email, named.email]

    assert asyncio.run(work()) == [2, [], ["ann@acme.example"], "ann@acme.example", "ann@acme.example"]
    RepositoryFactory.reset()
    assert RepositoryFactory.get_instance() is not factory
    RepositoryFactory.reset()


@pytest.mark.ledger("S2-017", "S2-045")
def test_a_manager_closes_what_it_opened(postgres: Any, fresh_database: str) -> None:
    parts = urlsplit(fresh_database)
    config = PostgresConnectionConfig(
        host=parts.hostname or "",
        port=parts.port or 0,
        database=parts.path[1:],
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
    made = DatabaseManager.initialize(config)

    def connections() -> int:
        with postgres.admin() as connection:
            asked = "select count(*) from pg_stat_activity where datname = %s"
            return int(connection.execute(asked, (config.database,)).fetchone()[0])

    try:
        made.tenancy.install(create_tables=True)
        made.tenancy.tenants.create("acme", record={"name": "Acme"})
        with made.session_scope("acme") as session:
            assert session.scalars(select(Document)).all() == []
        assert connections() > 0
    finally:
        DatabaseManager.reset()
    # The server takes a moment to see that they are gone.
    for _ in range(200):
        if not connections():
            break
        time.sleep(0.05)
    assert connections() == 0


@pytest.mark.ledger("S2-040")
def test_the_cache(manager: DatabaseManager) -> None:
    manager.tenancy.tenants.create("acme", record={"name": "Acme"})
    cache, asked = CacheManager(), []

    def load(session: TenantSession) -> int:
        asked.append(1)
        return len(session.scalars(select(User)).all())

    def users() -> Any:
        return cache.get("acme", "users", load, reads=[User], tags=["people"], ttl=60)

    assert (users(), users(), len(asked)) == (0, 0, 1)
    with manager.session_scope("acme") as session:
        session.add(User(email="ann@acme.example"))
    assert (users(), len(asked)) == (1, 2)
    with manager.session_scope("acme") as session:
        cache.invalidate(session, "people")
    assert (users(), len(asked)) == (1, 3)
    assert cache.clear("acme") == 1
    assert cache.stats(manager.tenancy.tenants.get("acme")).hits >= 1


@pytest.mark.ledger("S2-052")
def test_the_security() -> None:
    security = SecurityManager()
    assert security.allows("admin", "documents:delete")
    assert security.allows("viewer", "documents:read")
    assert not security.allows("member", "documents:delete")


@pytest.mark.ledger("S2-004", "S2-010", "S2-012", "S2-014", "S2-016")
@pytest.mark.parametrize("line", BASH)
def test_what_is_typed(line: int, tmp_path: Path) -> None:
    """Lines 13, 25, 53, 65, 83 and 385: shells read them, and the programs and files that they name are there."""
    text = BLOCKS["002"][line].text
    read = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, timeout=60, check=False)
    assert read.returncode == 0, read.stderr
    named = re.findall(r"(?:\./|python |-f )([\w.-]+\.(?:sh|py|yml))", text)
    assert [name for name in named if not (EXAMPLES / name).is_file()] == []
    assert all((EXAMPLES / name).stat().st_mode & 0o111 for name in named if name.endswith(".sh"))
    for option in re.findall(r"--env-file (\S+)", text):
        assert (EXAMPLES / option).is_file()
    for profile in re.findall(r"--profile (\w+)", text):
        assert f"profiles: [{profile}]" in (EXAMPLES / "compose.yaml").read_text(encoding="utf-8")
    assert shutil.which("bash")


@pytest.mark.ledger("S2-015")
def test_the_containers_are_called_as_they_should_be() -> None:
    text = (EXAMPLES / "compose.yaml").read_text(encoding="utf-8")
    names = re.findall(r"container_name: (\S+)", text)
    assert names == ["axai-pg-test", "axai-pg-test-runner", "axai-pg-dev"]
    assert re.search(r"shared-network:\n\s+external: true", text)


@pytest.mark.soak
@pytest.mark.ledger("S2-084", "S2-010", "S2-012", "S2-085")
def test_the_programs(environment: dict[str, str], postgres: Any) -> None:
    """Sample data goes in, a reset takes it away, and a production database begins with nothing to complain of."""
    added = program(environment, sys.executable, "add_sample_data.py")
    assert (added.returncode, added.stdout.split(" ", 1)[1]) == (0, "rows in 3 organisations.\n"), added.stderr
    reset = program(environment, "./reset_db.sh")
    assert (reset.returncode, reset.stdout) == (0, f"{environment['POSTGRES_DB']} is new.\n"), reset.stderr
    refused = program(environment, "./reset_db.sh", POSTGRES_DB="production")
    assert (refused.returncode, "production" in refused.stderr) == (1, True)
    made = program(environment, sys.executable, "production_init_example.py")
    assert (made.returncode, "0 documents of acme." in made.stdout) == (0, True), made.stdout + made.stderr
    with postgres.admin() as connection:
        connection.execute("DROP OWNED BY documents_app")
        connection.execute("DROP ROLE documents_app")


@pytest.mark.ledger("S2-065")
def test_each_name_is_there() -> None:
    for name in documents.__all__:
        assert getattr(documents, name) is not None
    with pytest.raises(AttributeError):
        _ = documents.PostgresDocumentRepository


@pytest.mark.ledger("S2-002", "S2-003", "S2-086")
def test_the_package() -> None:
    home, root = Path(documents.__file__).parent, Path(__file__).parents[2]
    assert home == root / "src" / "tenantry" / "packs" / "documents"
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"postgres", "fleet", "cache", "web", "access", "all"} <= project["optional-dependencies"].keys()
    assert not list(home.rglob("*.ts"))


@pytest.mark.ledger("S2-049")
def test_the_procedures_are_written_down() -> None:
    """Six steps to add a method to a repository, and eight to change a model."""
    page = (Path(__file__).parents[2] / "docs" / "packs" / "documents.md").read_text(encoding="utf-8")
    adding, changing = page.split("## Adding a method to a repository")[1].split("## Changing a model")
    assert re.findall(r"(?m)^(\d)\. ", adding) == list("123456")
    assert re.findall(r"(?:^|\s)(\d)\. ", changing) == list("12345678")


@pytest.mark.ledger("S2-047")
def test_the_schema_page_is_what_the_models_say() -> None:
    written = runpy.run_path(str(EXAMPLES.parents[1] / "tools" / "schema.py"))["written"]
    page = (EXAMPLES / "DATABASE_SCHEMA.md").read_text(encoding="utf-8")
    assert written("tenantry.packs.documents", "DocumentsBase", "Documents") == page


@pytest.mark.ledger("S2-085")
def test_the_application_is_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_URL", f"sqlite:///{tmp_path}/data")
    monkeypatch.setenv("DOCUMENTS_TOKEN_KEY", secrets.token_hex(32))
    served = runpy.run_path(str(EXAMPLES / "app.py"))
    assert "/api/documents/{document_id}/related" in served["app"].openapi()["paths"]
    served["tenancy"].close()
