"""Seed 004, block by block: each runs against the pack of incidents and does what the document says."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import io
import re
import shlex
import shutil
import sys
import types
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional, get_args, get_type_hints
from unittest.mock import AsyncMock

import pytest
from alembic.config import CommandLine
from alembic.config import Config as AlembicConfig
from sqlalchemy import String, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.errors import StatementRefused, TenantRequired
from tenantry.models import JSONDocument
from tenantry.packs import incidents
from tenantry.packs.incidents import (
    BaseModel,
    BaseRepository,
    Event,
    EventRepository,
    Incident,
    IncidentRepository,
    Incidents,
    IncidentsBase,
    IncidentStatus,
    Tenant,
    Workflow,
    close_db,
    door,
    get_engine,
    get_session,
)
from tenantry.packs.incidents.base import Moment
from tenantry.packs.incidents.environment import MIGRATIONS
from tenantry.settings import Config
from tenantry.web.context import TenantContext, carry

from .running import BLOCKS, run_block

# The document's own code asks for it; Python 3.12 and newer warn.
pytestmark = pytest.mark.filterwarnings(r"ignore:datetime\.datetime\.utcnow:DeprecationWarning")

SEED = "004"
ROOTS = {"src.awfdrs.db": "tenantry.packs.incidents"}


class Ground:
    """A tenant with a workflow in a database of the pack, entered through the seed's own doors."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy
        self.tenant = tenancy.tenants.create("acme", record={"name": "Acme"})
        with tenancy.transaction("acme") as session:
            workflow = Workflow(name="billing")
            session.add(workflow)
            session.flush()
            self.workflow_id = workflow.id

    def event(self, **values: Any) -> dict[str, Any]:
        """Returns what the seed's own event is made of."""
        known = {
            "tenant_id": self.tenant.id,
            "workflow_id": self.workflow_id,
            "event_type": "payment.failed",
            "payload": {"error_code": "timeout"},
            "idempotency_key": uuid.uuid4().hex,
            "occurred_at": datetime.datetime.now(datetime.UTC),
        }
        return {**known, **values}

    def asks(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        """Returns what *work* gives with a session of the seed's door, whose connections are closed afterwards."""

        async def run() -> Any:
            async with get_session() as session:
                found = await work(session)
                await session.commit()
            await door.aio.close()
            return found

        return asyncio.run(run())


@pytest.fixture(scope="module", params=["postgresql", "sqlite-file", "sqlite-rows"])
def ground(request: pytest.FixtureRequest, postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    if request.param == "postgresql":
        with postgres.lend_database() as url:
            yield from _ground(url.replace("postgresql:", "postgresql+asyncpg:"))
    else:
        yield from _ground(f"sqlite:///{tmp_path_factory.mktemp('seed_004')}")


def _ground(url: str) -> Iterator[Ground]:
    tenancy = Tenancy(url, models=IncidentsBase)
    pack = Incidents(tenancy)
    tenancy.install(create_tables=True)
    door.use(tenancy, pack)
    yield Ground(tenancy)
    door.reset()
    tenancy.close()


def words() -> dict[str, Any]:
    """Returns the names that the seed's blocks take from elsewhere."""
    known = {name: getattr(incidents, name) for name in incidents.__all__}
    named: dict[str, Any] = {"List": list, "Optional": Optional, "UUID": uuid.UUID, "Mapped": Mapped, "func": func}
    times = {"datetime": datetime.datetime, "timedelta": datetime.timedelta}
    return {**known, **named, **times, "select": select, "mapped_column": mapped_column, "String": String}


def methods(line: int) -> Any:
    """Returns an object with the functions of a block that are written as methods, for a session."""
    found = run_block(SEED, line, roots=ROOTS, names=words())
    own = {name: value for name, value in found.items() if isinstance(value, types.FunctionType)}
    return type("Printed", (), {"__init__": lambda self, session: setattr(self, "session", session), **own})


@pytest.mark.ledger("S4-045")
def test_018_the_layers_stand_on_one_another() -> None:
    layers = [line.split(" (")[0].lower() for line in BLOCKS[SEED][18].text.splitlines() if "(" in line]
    assert layers == ["services", "repositories", "models", "database"]
    order = {"flow": "rows", "rows": "models", "repositories": "rows"}
    for upper, lower in order.items():
        above, below = (Path(MIGRATIONS).with_name(f"{name}.py").read_text("utf-8") for name in (upper, lower))
        assert f"from tenantry.packs.incidents.{lower} import" in above
        assert f"from tenantry.packs.incidents.{upper} import" not in below


@pytest.mark.ledger("S4-002", "S4-003")
def test_041_a_model_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pack has its own table of that name: the block's stands beside it, on a root of its own.
    class Root(DeclarativeBase):
        type_annotation_map = IncidentsBase.type_annotation_map

    brought = {name: vars(BaseModel)[name] for name in ("id", "created_at", "updated_at")}
    Own = type("BaseModel", (Root,), {"__abstract__": True, **brought})  # noqa: N806  # a class
    base = types.ModuleType("own_base")
    base.BaseModel, base.TenantMixin = Own, incidents.TenantMixin  # type: ignore[attr-defined]  # a module's names
    monkeypatch.setitem(sys.modules, "own_base", base)
    found = run_block(SEED, 41, roots={"src.awfdrs.db": "own_base"}, names=words())
    assert set(found["Event"].__table__.c.keys()) == {"id", "created_at", "updated_at", "tenant_id", "event_type"}
    assert [column.name for column in found["Event"].__table__.primary_key] == ["tenant_id", "id"]


@pytest.mark.ledger("S4-006")
def test_067_a_session_of_the_requests_tenant(ground: Ground) -> None:
    printed = run_block(SEED, 67, roots=ROOTS, names=words())["my_service_function"]

    async def run() -> None:
        with pytest.raises(TenantRequired):
            await printed()
        carry(TenantContext(correlation_id="c", found=ground.tenant))
        await printed()
        async with get_session() as session:
            assert session.info["tenant"].id == ground.tenant.id
            session.add(Workflow(name="never committed"))
            await session.flush()
        async with get_session() as session:
            gone = select(Workflow).where(Workflow.name == "never committed")
            assert (await session.scalars(gone)).first() is None
        await door.aio.close()

    asyncio.run(run())


KINDS = {JSONDocument: dict, Moment: datetime.datetime}
MODELS = {86: "Tenant", 94: "Workflow", 102: "Vendor", 111: "Event", 122: "Incident", 134: "Decision", 145: "Action"}


@pytest.mark.ledger("S4-045")
@pytest.mark.parametrize("line", [*MODELS, 156])
def test_086_094_102_111_122_134_145_156_the_models_have_what_is_printed(line: int) -> None:
    name = {**MODELS, 156: "KillSwitch"}[line]
    outline = {mixin: type(mixin, (), {}) for mixin in ("BaseModel", "TenantMixin", "CorrelationMixin")}
    printed = run_block(SEED, line, roots=ROOTS, names={**words(), **outline})[name]
    model = getattr(incidents, name)
    for column, hint in get_type_hints(printed).items():
        (kind,) = get_args(hint)
        optional = type(None) in get_args(kind)
        wanted = next(each for each in get_args(kind) or (kind,) if each is not type(None))
        own = model.__table__.c[column]
        python = KINDS.get(type(own.type)) or own.type.python_type
        assert python is (wanted if wanted.__module__ != "typing" else dict), column
        assert own.nullable or not optional, column
    mixins = [base.__name__ for base in printed.__mro__ if base.__name__ in outline]
    assert all(issubclass(model, getattr(incidents, mixin)) for mixin in mixins)


@pytest.mark.ledger("S4-018", "S4-021")
def test_171_the_base_repository() -> None:
    # A class of type parameters is written so from Python 3.12 on; only its signatures are said.
    text = BLOCKS[SEED][171].text.replace("class BaseRepository[T]:", "class BaseRepository:")
    found: dict[str, Any] = {**words(), "T": Any, "AsyncSession": AsyncSession}
    exec(compile(text, "seed 004, line 171", "exec"), found)
    for name in ("get_by_id", "create", "update", "delete"):
        assert inspect.iscoroutinefunction(getattr(found["BaseRepository"], name))
        assert inspect.iscoroutinefunction(getattr(BaseRepository, name))
    session = AsyncMock(spec=AsyncSession)
    assert EventRepository(session).session is found["BaseRepository"](session).session is session


@pytest.mark.ledger("S4-024", "S4-025")
def test_204_a_repository_of_ones_own_gives_what_the_packs_gives(ground: Ground) -> None:
    printed = run_block(SEED, 204, roots=ROOTS, names=words())["EventRepository"]
    told = ground.event()

    async def work(session: Any) -> None:
        made = await printed(session).create(told)
        for each in (printed(session), EventRepository(session)):
            assert await each.get_by_idempotency_key(told["idempotency_key"], ground.tenant.id) is made
            recent = await each.get_recent_events(ground.tenant.id, ground.workflow_id)
            assert recent[0] is made
            assert await each.get_by_id(made.id) is made

    ground.asks(work)


@pytest.mark.ledger("S4-019", "S4-031")
def test_256_a_row_by_id_is_the_tenants_own(ground: Ground) -> None:
    printed = methods(256)

    async def work(session: Any) -> None:
        made = await EventRepository(session).create(ground.event())
        assert await printed(session).get_by_id(made.id, ground.tenant.id) is made
        assert await printed(session).get_by_id(uuid.uuid4(), ground.tenant.id) is None

    ground.asks(work)


@pytest.mark.ledger("S4-035", "S4-034", "S4-026")
def test_280_a_service_commits_once(ground: Ground) -> None:
    found = run_block(SEED, 280, roots=ROOTS, names=words())
    told = ground.event(payload={"error_code": uuid.uuid4().hex})
    again = ground.event(payload=told["payload"])

    async def run() -> None:
        await found["ingest_event"](told)
        await found["ingest_event"](again)
        await door.aio.close()

    asyncio.run(run())
    with ground.tenancy.session("acme") as session:
        event = session.scalars(select(Event).filter_by(idempotency_key=told["idempotency_key"])).one()
        risen = session.scalars(select(Incident).filter_by(correlation_id=event.correlation_id)).one()
        assert risen.event_count == 2
    # What the document warns of is warned of: a repository commits nothing.
    assert "DON'T DO THIS" in BLOCKS[SEED][280].text

    async def work(session: Any) -> None:
        made = await EventRepository(session).create(ground.event(idempotency_key="rolled back"))
        await session.rollback()
        assert await EventRepository(session).get_by_id(made.id, ground.tenant.id) is None

    ground.asks(work)


@pytest.mark.ledger("S4-037")
def test_309_the_named_indexes_are_there() -> None:
    printed = re.findall(r"CREATE INDEX (\w+) ON (\w+)\(([\w, ]+)\);", BLOCKS[SEED][309].text)
    assert len(printed) == 4
    for name, table, columns in printed:
        (index,) = [each for each in IncidentsBase.metadata.tables[table].indexes if each.name == name]
        own = [column.name for column in index.columns]
        # Each begins with the tenant, the last one too.
        assert own == list(dict.fromkeys(["tenant_id", *columns.split(", ")]))


class EachTime:
    """A session that is opened for each statement."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def execute(self, statement: Any) -> Any:
        async with self._ground.tenancy.aio.session("acme") as session:
            found = await session.execute(statement)
        await self._ground.tenancy.aio.close()
        return found


@pytest.mark.ledger("S4-038", "S4-039")
def test_318_a_query_that_uses_the_index(ground: Ground) -> None:
    late = ground.event(occurred_at=datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1))

    async def work(session: Any) -> None:
        await EventRepository(session).create(late)

    ground.asks(work)
    names = {**words(), "session": EachTime(ground), "tenant_id": ground.tenant.id, "start_date": late["occurred_at"]}
    found = run_block(SEED, 318, roots=ROOTS, names=names)
    # The last statement is the one that the document calls bad: it finds the same row, by looking at each.
    keys = [row.idempotency_key for row in found["events"].scalars()]
    assert late["idempotency_key"] in keys
    # By fields of repositories nobody can do so.
    from tenantry.errors import UnknownField

    async def refused(session: Any) -> None:
        with pytest.raises(UnknownField):
            await EventRepository(session).list(Event.tenant_id == ground.tenant.id, payload={"error_code": "x"})

    ground.asks(refused)


@pytest.mark.ledger("S4-042")
def test_338_347_482_the_commands_of_alembic(
    tmp_path: Path, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    # As it was before the kill switches came.
    (scripts / "versions" / "kill_switches_add_kill_switches_table.py").unlink()
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n", encoding="utf-8")
    (scripts / "env.py").write_text(ENVIRONMENT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENANTRY_URL", fresh_database)
    tenancy = Tenancy.from_env(IncidentsBase, config=Config(migrations=str(scripts)))
    tenancy.install()
    tenancy.close()
    told = io.StringIO()
    alembic(["upgrade", "head"], told)
    for line in (338, 347, 482):
        for command in _commands(line):
            alembic(command, told)
    (written,) = [path for path in (scripts / "versions").glob("*.py") if "add_kill_switches_table" in path.name]
    text = written.read_text(encoding="utf-8")
    assert "op.create_table('kill_switches'" in text
    assert text.count("op.create_table(") == 1
    revision = written.name.partition("_")[0]
    lines = told.getvalue().splitlines()
    # After one step down it stood where it had stood before, and at the end at the head.
    assert [line for line in lines if line.startswith(("first", revision)) and "->" not in line] == ["first", "first"]
    assert f"first -> {revision} (head), Add kill_switches table" in lines
    assert current() == revision


def alembic(words: list[str], told: io.StringIO) -> None:
    """Runs a command of Alembic's as the shell does."""
    line = CommandLine()
    options = line.parser.parse_args(words)
    line.run_cmd(AlembicConfig("alembic.ini", cmd_opts=options, stdout=told), options)


def current() -> str:
    """Returns where the database stands by now."""
    told = io.StringIO()
    alembic(["current"], told)
    return told.getvalue().split()[0]


ENVIRONMENT = """
from tenantry import Tenancy
from tenantry.fleet.environment import run
from tenantry.packs.incidents import IncidentsBase
from tenantry.settings import Config

tenancy = Tenancy.from_env(IncidentsBase, config=Config(migrations="migrations"))
run(tenancy)
tenancy.close()
"""


def _commands(line: int) -> list[list[str]]:
    lines = [shlex.split(text, comments=True) for text in BLOCKS[SEED][line].text.splitlines()]
    return [words[1:] for words in lines if words[:1] == ["alembic"]]


@pytest.mark.ledger("S4-044")
def test_370_a_unit_test_with_a_session_that_is_stood_in_for() -> None:
    names = {
        **words(),
        "pytest": SimpleNamespace(mark=SimpleNamespace(asyncio=lambda function: function)),
        "AsyncSession": AsyncSession,
        "UUID": lambda _: uuid.uuid4(),
        "tenant_id": uuid.uuid4(),
    }
    asyncio.run(run_block(SEED, 370, roots=ROOTS, names=names)["test_event_repository_get_by_id"]())


@pytest.mark.ledger("S4-045", "S4-020")
def test_390_an_integration_test(ground: Ground) -> None:
    names = {
        **words(),
        "pytest": SimpleNamespace(mark=SimpleNamespace(asyncio=lambda function: function)),
        "test_tenant_id": ground.tenant.id,
        "test_workflow_id": ground.workflow_id,
    }
    printed = run_block(SEED, 390, roots=ROOTS, names=names)["test_event_create_persists_to_database"]
    ground.asks(printed)
    with ground.tenancy.session("acme") as session:
        kept = session.scalars(select(Event).filter_by(idempotency_key="test-001")).one()
        # utcnow() says no zone, and means UTC.
        assert abs(datetime.datetime.now(datetime.UTC) - kept.occurred_at) < datetime.timedelta(minutes=5)


@pytest.mark.ledger("S4-027", "S4-028", "S4-029", "S4-017")
def test_417_435_451_pages_filters_and_counts(ground: Ground) -> None:
    pages, filters, counts = methods(417), methods(435), methods(451)

    async def work(session: Any) -> None:
        mine = ground.tenant.id
        event = await EventRepository(session).create(ground.event(payload={"error_code": "paged"}))
        incident = await IncidentRepository(session).create_from_event(event)
        assert incident in await pages(session).get_incidents_paginated(mine, page_size=50)
        assert incident in await IncidentRepository(session).get_incidents_paginated(mine, 1, 50)
        new = await filters(session).get_incidents_by_status(mine, IncidentStatus.NEW)
        assert new == await IncidentRepository(session).get_incidents_by_status(mine, IncidentStatus.NEW)
        assert incident in new
        count = await counts(session).count_events(mine, ground.workflow_id)
        assert count == await EventRepository(session).count_events(mine, ground.workflow_id) > 0

    ground.asks(work)


@pytest.mark.ledger("S4-005", "S4-007")
def test_the_engine_is_one_for_a_loop_and_shows_no_tenants_rows(ground: Ground) -> None:
    async def run() -> None:
        engine = get_engine()
        assert get_engine() is engine
        async with engine.connect() as connection:
            with pytest.raises(Exception, match=r"(?i)tenant|unrecognized|no such table|permission|denied|prohibited"):
                assert (await connection.execute(select(Event.__table__))).all()
        await door.aio.close()
        assert get_engine() is not engine
        await door.aio.close()

    asyncio.run(run())


@pytest.mark.ledger("S4-007", "S4-008", "S4-046")
def test_the_environment_says_where_and_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}")
    monkeypatch.setenv("DATABASE_POOL_SIZE", "7")
    door.reset()
    assert door.tenancy.config.pool_size == 7
    door.tenancy.install(create_tables=True)

    async def run() -> None:
        async with get_session() as session:
            session.add(Tenant(name="Acme Corp"))
            await session.commit()
        tenant = session.tenant
        async with get_session() as session:
            found = await session.get(Tenant, tenant.id)
            assert (found.name, tenant.slug) == ("Acme Corp", "acme-corp")
            with pytest.raises((TenantRequired, StatementRefused)):
                async with get_session() as other:
                    await other.execute(select(Tenant))
        await close_db()
        assert not door.opened

    asyncio.run(run())
