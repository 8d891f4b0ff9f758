"""The assistant's document (003): each of its code blocks, run with nothing but the import roots replaced."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import io
import re
import runpy
import sqlite3
import sys
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    QueuePool,
    StaticPool,
    String,
    Text,
    create_engine,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, joinedload, relationship

from tenantry import Config, Tenancy
from tenantry.access import Passwords
from tenantry.archive import Archive, KeyRing
from tenantry.errors import (
    CompanyUnknown,
    ConfigurationError,
    CrossTenant,
    DatabaseContextMissing,
    DatabaseNameRefused,
    EraseNotConfirmed,
    TenantNotFound,
    TenantRequired,
)
from tenantry.fleet import Fleet
from tenantry.models import JSONDocument, UTCDateTime, ownership
from tenantry.packs import assistant
from tenantry.packs.assistant import (
    MIGRATIONS,
    PRICES,
    AssistantBase,
    Call,
    Conversation,
    Document,
    DocumentChunk,
    Message,
    Meter,
    Role,
    SavedReport,
    TokenUsage,
    TokenUsageRepository,
    User,
    clear_database_context,
    database_context,
    get_database_context,
    get_database_path,
    get_db_session,
    set_database_context,
    set_sqlite_pragma,
)
from tenantry.usage import Money
from tenantry.web.context import TenantContext, carry

from .running import BLOCKS, outcomes, run_block

SEED = "003"
ROOTS = {"app": "tenantry.packs.assistant"}
PASSWORD = uuid.uuid4().hex
# They end with an exit status.
ENDING = ("migrate_all_company_databases.py", "migrate_company_database.py", "reset_all_databases.py")
SCRIPTS = Path(__file__).parents[2] / "examples" / "assistant" / "scripts"
PARTS = {
    "Boolean": Boolean,
    "Column": Column,
    "DateTime": DateTime,
    "Float": Float,
    "ForeignKey": ForeignKey,
    "Integer": Integer,
    "JSON": JSON,
    "String": String,
    "Text": Text,
    "datetime": datetime.datetime,
    "relationship": relationship,
}
# What the pack keeps a type of the document as.
KEPT_AS: dict[type[Any], type[Any]] = {DateTime: UTCDateTime, JSON: JSONDocument}
MODELS = {
    145: "User",
    188: "Company",
    213: "Role",
    238: "Permission",
    266: "RolePermission",
    284: "Document",
    332: "DocumentChunk",
    362: "Conversation",
    393: "Message",
    426: "AgentLog",
    470: "TokenUsage",
    514: "Profile",
    560: "SavedReport",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The document's own beginning, in a directory of files: the primary, and companies 1 and 2."""
    directory = tmp_path_factory.mktemp("seed003")
    cheap = Passwords(time_cost=1, memory_cost=8, parallelism=1)
    tenancy = Tenancy(f"sqlite:///{directory}", AssistantBase, config=Config(migrations=MIGRATIONS))
    assistant.use(assistant.Assistant(tenancy, passwords=cheap))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENANTRY_ADMIN_PASSWORD", PASSWORD)
        run_block(SEED, 592, roots=ROOTS)
        with get_db_session("primary") as db:
            db.add_all([assistant.Company(name="Acme"), assistant.Company(name="Globex")])
            db.commit()
        run_block(SEED, 613, roots=ROOTS)
        assistant.initialize_company_database(2)
        _fill()
        yield directory
    assistant.door.reset()
    tenancy.close()


def _fill() -> None:
    pack = assistant.door.pack
    for number in (1, 2):
        pack.on_platform(
            lambda session, number=number: pack.users.create(
                session, f"ann{number}", email=f"a{number}@x", password=PASSWORD, role="analyst", company_id=number
            )
        )
        ann = pack.look(lambda session, number=number: pack.users.get(session, f"ann{number}").id)
        with get_db_session(f"company_{number}") as db:
            document = Document(filename=f"of {number}", original_filename="x", file_path="x", user_id=ann)
            document.processing_status = "completed"
            document.chunks = [DocumentChunk(chunk_index=place, content="x") for place in range(3)]
            talk = Conversation(user_id=ann, messages=[Message(role="user", content=f"hello from {number}")])
            cost = Decimal("0.25")
            db.add_all(
                [document, talk, TokenUsage(prompt_tokens=5, completion_tokens=6, estimated_cost=cost, user_id=ann)]
            )
            db.commit()


@pytest.fixture(autouse=True)
def no_context() -> Iterator[None]:
    yield
    while True:
        try:
            get_database_context()
        except DatabaseContextMissing:
            return
        clear_database_context()


def ann(number: int = 1) -> User:
    pack = assistant.door.pack
    return pack.look(lambda session: pack.users.get(session, f"ann{number}"))


@pytest.mark.ledger("S3-001", "S3-016")
def test_the_picture_and_what_stands_where(installed: Path) -> None:
    drawn = BLOCKS[SEED][10].text
    words = set(re.findall(r"• ([\w &]+?)\s*│", drawn))
    assert {"Documents", "Conversations", "Messages", "Agent Logs", "Token Usage", "Reports", "Profiles"} <= words
    platform = {name for name, table in AssistantBase.metadata.tables.items() if ownership(table) == "platform"}
    assert {"users", "companies", "roles", "permissions", "role_permissions"} <= platform
    with sqlite3.connect(get_database_path("company_1")) as file:
        found = {name for (name,) in file.execute("select name from sqlite_master where type = 'table'")}
        assert file.execute("select count(*) from documents").fetchone() == (1,)
    printed = ["documents", "document_chunks", "conversations", "messages", "agent_logs", "token_usage", "profiles"]
    assert {*printed, "saved_reports"} <= found
    assert not found & platform


@pytest.mark.ledger("S3-006", "S3-007")
def test_a_context_is_set_by_either_name(installed: Path) -> None:
    for line in (60, 936):
        run_block(SEED, line, roots=ROOTS, names={"set_database_context": set_database_context, "company_id": 1})
        assert get_database_context() == "company_1"
        with get_db_session() as db:
            assert [row.filename for row in db.scalars(select(Document))] == ["of 1"]
        clear_database_context()
    for name in ("primary.db", "primary_database.db", "primary"):
        assert set_database_context(name) is not None
        assert get_database_context() == "primary"
    for name in ("../../x", "company_1.db.db", "company_01", "company_None", "company_-1", "", None, "Company_1"):
        with pytest.raises(DatabaseNameRefused):
            set_database_context(name)  # type: ignore[arg-type]  # that is what is tried


@pytest.mark.ledger("S3-004")
def test_super_admins_work_in_the_primary(installed: Path) -> None:
    pack = assistant.door.pack
    root = pack.look(lambda session: pack.users.get(session, "admin"))
    for user, expected in ((root, "primary"), (ann(1), "company_1"), (ann(2), "company_2")):
        run_block(SEED, 70, roots=ROOTS, names={"set_database_context": set_database_context, "user": user})
        assert get_database_context() == expected
    with get_db_session("primary") as db:
        assert {user.username for user in db.scalars(select(User))} == {"admin", "ann1", "ann2"}
    lost = SimpleNamespace(role=SimpleNamespace(name="viewer"), company_id=None)
    with pytest.raises(DatabaseNameRefused):
        run_block(SEED, 70, roots=ROOTS, names={"set_database_context": set_database_context, "user": lost})


@pytest.mark.ledger("S3-005", "S3-008", "S3-051")
def test_the_documents_own_session_module_and_what_the_pack_does_instead(installed: Path) -> None:
    printed = run_block(SEED, 83, roots=ROOTS)
    public = {"set_database_context", "get_database_context", "clear_database_context", "get_db_session"}
    assert public <= set(printed)
    assert public <= set(assistant.__all__)
    assert printed["get_database_context"]() == "primary"
    # The pack guesses nothing.
    with pytest.raises(DatabaseContextMissing):
        get_database_context()
    with pytest.raises(DatabaseContextMissing):
        get_db_session()
    set_database_context("company_1")
    token = set_database_context("company_2")
    set_database_context("primary")
    clear_database_context(token)
    assert get_database_context() == "company_1"
    with database_context("company_2.db") as inner:
        set_database_context("primary")
        assert inner == "company_2"
    assert get_database_context() == "company_1"
    clear_database_context()
    with pytest.raises(DatabaseContextMissing):
        get_database_context()


@pytest.mark.ledger("S3-002", "S3-051")
def test_a_requests_company_is_meant_where_nobody_names_a_database(installed: Path) -> None:
    pack = assistant.door.pack
    claims = pack.access.verify(pack.log_in("ann2", PASSWORD).access)
    root = pack.access.verify(pack.log_in("admin", PASSWORD).access)
    tenant = pack.tenancy.tenants.get(claims.tenant)  # type: ignore[arg-type]  # it is a company's
    try:
        carry(TenantContext(correlation_id="1", found=tenant, claims=claims))
        with get_db_session() as db:
            assert [row.filename for row in db.scalars(select(Document))] == ["of 2"]
        carry(TenantContext(correlation_id="2", claims=root))
        with get_db_session() as db:
            assert db.scalars(select(User).where(User.username == "ann1")).one().company_id == 1
        carry(TenantContext(correlation_id="3"))
        with pytest.raises(DatabaseContextMissing):
            get_db_session()
    finally:
        carry(None)


@pytest.mark.ledger("S3-001")
def test_tasks_do_not_see_each_others_context(installed: Path) -> None:
    async def name(number: int) -> str:
        set_database_context(f"company_{number}")
        await asyncio.sleep(0)
        return get_database_context()

    async def both() -> list[str]:
        return await asyncio.gather(name(1), name(2))

    assert asyncio.run(both()) == ["company_1", "company_2"]


@pytest.mark.ledger("S3-010", "S3-011")
def test_there_is_one_engine_for_a_database_and_only_what_was_made_has_one(installed: Path) -> None:
    printed = run_block(SEED, 113, roots=ROOTS, names={"get_database_path": get_database_path, **_pools()})
    # As it is printed, no engine ever comes of it.
    with pytest.raises(TypeError, match="pool_size"):
        printed["_get_or_create_engine"]("company_1")
    engines = []
    for name in ("company_1", "company_1.db", "company_2", "primary"):
        with get_db_session(name) as db:
            engines.append(db.get_bind())
    assert engines[0] is engines[1]
    assert len({id(engine) for engine in engines}) == 3
    before = sorted(installed.rglob("*.sqlite3"))
    for call in (get_db_session, get_database_path):
        with pytest.raises(TenantNotFound):
            call("company_99")
    assert sorted(installed.rglob("*.sqlite3")) == before
    assert {get_database_path(name).exists() for name in ("primary", "company_1", "company_2")} == {True}
    assert get_database_path("company_1.db").is_relative_to(installed)


def _pools() -> dict[str, Any]:
    return {"create_engine": create_engine, "StaticPool": StaticPool, "QueuePool": QueuePool}


@pytest.mark.ledger("S3-013", "S3-048", "S3-049")
def test_the_documents_pool_never_starts_and_the_packs_does_what_it_is_for(installed: Path) -> None:
    path = get_database_path("company_1")
    with pytest.raises(TypeError, match="pool_size"):
        run_block(SEED, 698, roots=ROOTS, names={"db_path": path, **_pools()})
    with get_db_session("company_1") as one, get_db_session("company_1") as other:
        assert one.scalar(text("select count(*) from documents")) == 1
        one.add(Document(filename="own", original_filename="x", file_path="x"))
        one.flush()
        one.rollback()
        # Another session has another connection: it never saw that row, nor was it undone by that rollback.
        assert [row.filename for row in other.scalars(select(Document))] == ["of 1"]


@pytest.mark.ledger("S3-048", "S3-049")
def test_connections_wait_for_each_other_and_hold_keys(installed: Path) -> None:
    with get_db_session("primary") as db:
        # Of a company's own connection nobody may ask such things.
        assert db.connection().exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
        assert db.connection().exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    with get_db_session("company_1") as db:
        db.add(DocumentChunk(document_id=99, chunk_index=0, content="x"))
        with pytest.raises(IntegrityError):
            db.flush()


@pytest.mark.ledger("S3-014")
def test_the_documents_pool_for_postgresql(installed: Path) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    printed = run_block(SEED, 729, roots=ROOTS, names={"postgresql_url": url, **_pools()})["engine"].pool
    tenancy = Tenancy(url, AssistantBase, config=Config(pool_size=20, max_overflow=40, pool_recycle=3600))
    own = tenancy.config
    assert (own.pool_size, own.max_overflow, own.pool_recycle) == (
        printed.size(),
        printed._max_overflow,
        printed._recycle,
    )
    tenancy.close()


@pytest.mark.ledger("S3-012", "S3-019", "S3-017", "S3-018")
@pytest.mark.parametrize("line", MODELS, ids=MODELS.get)
def test_each_printed_model_is_the_packs(line: int) -> None:
    class Base(DeclarativeBase):
        pass

    printed = run_block(SEED, line, roots=ROOTS, names={"Base": Base, **PARTS})[MODELS[line]].__table__
    own: Any = getattr(assistant, MODELS[line]).__table__
    assert printed.name == own.name
    for column in printed.columns:
        kept = own.columns[column.name]
        wanted = Money if column.name == "estimated_cost" else KEPT_AS.get(type(column.type), type(column.type))
        assert type(kept.type) is wanted, column.name
        assert kept.nullable <= column.nullable, column.name
        assert bool(kept.default) >= bool(column.default), column.name
        if column.default is not None and column.default.is_scalar:
            begins = kept.default.arg
            assert begins == column.default.arg or callable(begins), column.name
        if column.unique:
            assert _is_unique(own, column.name), column.name
        if column.index:
            assert any(column.name in index.columns for index in own.indexes), column.name


def _is_unique(table: Any, name: str) -> bool:
    sets = [
        *(one.columns for one in table.constraints if hasattr(one, "columns")),
        *(one.columns for one in table.indexes),
    ]
    # Within a company; whatever were unique for all would tell of the others.
    others = {"tenant_id", "company_id"} - {name}
    return any([column.name for column in columns if column.name not in others] == [name] for columns in sets)


@pytest.mark.ledger("S3-M06.9", "S3-M10.1")
def test_no_key_leads_from_a_companys_database_to_the_primary() -> None:
    for model, name in ((Document, "uploaded_by_id"), (Conversation, "user_id"), (assistant.AgentLog, "message_id")):
        assert not inspect(model).local_table.c[name].foreign_keys
        assert any(name in index.columns for index in inspect(model).local_table.indexes)


@pytest.mark.ledger("S3-034", "S3-M11.1")
def test_the_printed_cost_is_the_packs_without_the_floats() -> None:
    printed = run_block(SEED, 501, roots=ROOTS, names={"prompt_tokens": 1234, "completion_tokens": 567})
    own = Meter(PRICES).cost(Call("custom", "DeepSeek-V3", 1234, 567))
    assert own == Decimal("0.023680")
    assert float(own) == pytest.approx(printed["total_cost"])


@pytest.mark.ledger("S3-040")
def test_the_primary_is_made_once(installed: Path) -> None:
    assert run_block(SEED, 592, roots=ROOTS)["initialize_primary_database"] is assistant.initialize_primary_database
    assert assistant.initialize_primary_database() is None
    with get_db_session("primary") as db:
        assert {role.name for role in db.scalars(select(Role))} == {"super_admin", "admin", "analyst", "viewer"}
        root = db.scalars(select(User).join(User.role).where(Role.name == "super_admin")).one()
        assert PASSWORD not in root.hashed_password
        assert root.hashed_password.startswith("$argon2")


@pytest.mark.ledger("S3-041")
def test_a_companys_database_is_made_once_and_only_for_a_company(installed: Path) -> None:
    before = get_database_path("company_1").stat().st_ino
    run_block(SEED, 613, roots=ROOTS)
    assert get_database_path("company_1").stat().st_ino == before
    with pytest.raises(CompanyUnknown):
        assistant.initialize_company_database(company_id=77)


@pytest.mark.ledger("S3-046")
def test_the_printed_migrations_find_nothing_missing(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = get_database_path("company_1")
    names = {"create_engine": create_engine, "inspect": inspect, "text": text}
    run_block(SEED, 656, roots=ROOTS, names=names)["migrate_database"](path)
    assert capsys.readouterr().out == ""
    with sqlite3.connect(path) as file:
        assert "low_confidence_warning" in {row[1] for row in file.execute("pragma table_info(messages)")}


@pytest.mark.ledger("S3-046", "S3-047")
def test_the_printed_migrations_add_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as file:
        file.execute("create table messages (id integer primary key, content text)")
        file.execute("insert into messages (content) values ('old')")
    names = {"create_engine": create_engine, "inspect": inspect, "text": text}
    add = run_block(SEED, 656, roots=ROOTS, names=names)["migrate_database"]
    add(path)
    add(path)
    make = run_block(SEED, 678, roots=ROOTS, names=names)["migrate_database"]
    make(path)
    make(path)
    said = capsys.readouterr().out.splitlines()
    assert said == ["✓ Added low_confidence_warning column", *["✓ Created saved_reports table"] * 2]
    with sqlite3.connect(path) as file:
        assert file.execute("select low_confidence_warning from messages").fetchall() == [(0,)]
        assert file.execute("select count(*) from saved_reports").fetchone() == (0,)


@pytest.mark.ledger("S3-046", "S3-047", "S3-043")
def test_the_packs_migrations_go_by_the_history(installed: Path) -> None:
    fleet, paths = Fleet(assistant.door.tenancy), [get_database_path(f"company_{number}") for number in (1, 2)]
    assert [assistant.migrate_add_saved_reports(path) for path in paths] == [False, False]
    fleet.downgrade("first", where=lambda home: home.slug == "company-2")
    with sqlite3.connect(paths[1]) as file:
        assert "low_confidence_warning" not in {row[1] for row in file.execute("pragma table_info(messages)")}
    assert assistant.migrate_add_low_confidence_warning(paths[1])
    assert not assistant.migrate_add_low_confidence_warning(paths[1])
    with pytest.raises(TenantNotFound):
        assistant.migrate_database(installed / "none.db")
    assert {work.home.slug for work in assistant.migrate_company_database(2).works} == {"company-2"}
    with get_db_session("company_2") as db:
        assert [row.content for row in db.scalars(select(Message))] == ["hello from 2"]


@pytest.mark.ledger("S3-045")
def test_the_printed_commands_are_scripts_of_the_example() -> None:
    named = re.findall(r"^python scripts/(\w+\.py)(.*)$", BLOCKS[SEED][639].text, re.MULTILINE)
    assert [script for script, _ in named] == [
        "migrate_all_company_databases.py",
        "migrate_company_database.py",
        "reset_all_databases.py",
    ]
    assert all((SCRIPTS / script).is_file() for script, _ in named)
    assert named[1][1] == " --company-id 1"


@pytest.mark.ledger("S3-042", "S3-043", "S3-044", "S3-046", "S3-047")
def test_the_scripts_do_what_their_names_say(installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    # What each forgets at its end is the test's own.
    monkeypatch.setattr(assistant.door, "reset", lambda: None)

    def run(script: str, *arguments: str, typed: str = "") -> str:
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) if script in ENDING else contextlib.nullcontext():
            runpy.run_path(str(SCRIPTS / script), run_name="__main__")
        return str(capsys.readouterr().out)

    fleet = Fleet(assistant.door.tenancy)
    fleet.downgrade("first")
    assert run("migrate_company_database.py", "--company-id", "1") == "1 of 1 migrated.\n"
    assert sorted(set(fleet.current().values())) == ["first", "reports"]
    assert run("migrate_add_low_confidence_warning.py") == "✓ Added low_confidence_warning column\n"
    assert run("migrate_add_saved_reports.py") == "✓ Created saved_reports table\n"
    assert run("migrate_all_company_databases.py").endswith("2 of 2 migrated.\n")
    assert set(fleet.current().values()) == {"reports"}
    run("reset_all_databases.py")
    run("reset_all_databases.py", "--yes", "--without-backup", typed="yes\n")
    assert get_database_path("company_1").exists()


@pytest.mark.ledger("S3-035")
def test_a_user_comes_with_company_role_and_permissions(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with get_db_session("primary") as db:
        names = {"db": db, "User": User, "Role": Role, "joinedload": joinedload, "username": "ann1"}
        user = run_block(SEED, 746, roots=ROOTS, names=names)["user"]
    # Loaded with the user: it can be asked when the session is long closed.
    assert user.company.name == "Acme"
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["Acme", "analyst"]
    assert "'documents'" in said[2]


@pytest.mark.ledger("S3-036")
def test_documents_come_with_their_chunks(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with get_db_session("company_1") as db:
        names = {"db": db, "Document": Document, "joinedload": joinedload, "user_id": ann().id}
        run_block(SEED, 760, roots=ROOTS, names=names)
    assert capsys.readouterr().out == "of 1: 3 chunks\n"


@pytest.mark.ledger("S3-037")
def test_a_conversation_comes_with_its_messages(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with get_db_session("company_2") as db:
        names = {"db": db, "Conversation": Conversation, "joinedload": joinedload, "conversation_id": 1}
        run_block(SEED, 775, roots=ROOTS, names=names)
    assert capsys.readouterr().out == "user: hello from 2\n"


@pytest.mark.ledger("S3-038")
def test_token_usage_is_summed_up(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    with get_db_session("company_1") as db:
        names = {"db": db, "TokenUsage": TokenUsage, "user_id": ann().id, "start_date": start}
        run_block(SEED, 787, roots=ROOTS, names=names)
        assert capsys.readouterr().out == "Total tokens: 11\nTotal cost: $0.25\n"
        # Over no rows the printed sum is None, which no format takes; the pack's is nought.
        with pytest.raises(TypeError):
            run_block(SEED, 787, roots=ROOTS, names={**names, "user_id": 99})
        assert TokenUsageRepository(db).total(user_id=99).cost == Decimal(0)


@pytest.mark.ledger("S3-009", "S3-039")
def test_sessions_close_by_themselves(installed: Path) -> None:
    set_database_context("primary")
    found = run_block(SEED, 808, roots=ROOTS, names={"get_db_session": get_db_session, "User": User})
    assert found["user"].username == "admin"
    assert not found["db"].in_transaction()
    with get_db_session("company_1") as db:
        db.add(Document(filename="lost", original_filename="x", file_path="x"))
        db.flush()
    with get_db_session("company_1") as db:
        assert [row.filename for row in db.scalars(select(Document))] == ["of 1"]


@pytest.mark.ledger("S3-039")
def test_no_transaction_spans_the_primary_and_a_company(installed: Path) -> None:
    printed = BLOCKS[SEED][822].text
    with pytest.raises(SyntaxError):
        compile(printed, "printed", "exec")
    filled = printed.replace("User(...)", "User(username='eve', email='e@x', hashed_password='x')").replace(
        "user.id, ...)", "user.id, filename='eve', original_filename='eve', file_path='eve')"
    )
    names = {"get_db_session": get_db_session, "User": User, "Document": Document}
    for name, refused in (("primary", TenantRequired), ("company_1", CrossTenant)):
        set_database_context(name)
        with pytest.raises(refused):
            exec(compile(filled, "filled", "exec"), dict(names))
    with get_db_session("primary") as db:
        assert db.scalars(select(User).where(User.username == "eve")).all() == []
    with get_db_session("company_1") as db:
        assert db.scalars(select(Document).where(Document.filename == "eve")).all() == []


@pytest.mark.ledger("S3-039")
def test_users_of_documents_come_at_once_and_not_one_by_one(installed: Path) -> None:
    with get_db_session("company_1") as db:
        with pytest.raises(AttributeError, match="user"):
            run_block(SEED, 841, roots=ROOTS, names={"db": db, "Document": Document, "joinedload": joinedload})
        documents = db.query(Document).all()
    people = assistant.door.pack.users_of(documents)
    assert [people[document.user_id].username for document in documents] == ["ann1"]


@pytest.mark.ledger("S3-039", "S3-M01.2", "S3-M01.3", "S3-M01.6")
def test_the_printed_indexes_are_there() -> None:
    columns = {name: value for name, value in vars(_bare(857, "User")).items() if isinstance(value, Column)}
    own = inspect(User).local_table
    assert set(columns) == {"username", "email", "company_id"}
    for name, column in columns.items():
        assert column.index
        assert any(name in index.columns for index in own.indexes)
        assert not column.unique or _is_unique(own, name)


@pytest.mark.ledger("S3-039", "S3-M06.13")
def test_the_printed_cascade_is_the_packs() -> None:
    printed = vars(_bare(868, "Document"))["chunks"]
    own = inspect(Document).relationships["chunks"]
    assert set(own.cascade) == set(printed.cascade)
    assert own.back_populates == printed.back_populates == "document"


def _bare(line: int, name: str) -> Any:
    """Returns a class that is printed in parts: as it stands no mapper takes it."""
    return run_block(SEED, line, roots=ROOTS, names={"Base": object, **PARTS})[name]


@pytest.mark.ledger("S3-049", "S3-050")
def test_the_printed_listener_and_the_packs(tmp_path: Path) -> None:
    for number, listener in enumerate(("printed", "own")):
        engine = create_engine(f"sqlite:///{tmp_path}/{number}.db")
        if listener == "printed":
            run_block(SEED, 912, roots=ROOTS, names={"Engine": engine})
        else:
            sqlalchemy.event.listen(engine, "connect", set_sqlite_pragma)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        engine.dispose()

    class Foreign:
        """A connection of another database, which knows no PRAGMA."""

        def cursor(self) -> Any:
            raise AssertionError("it was asked")

    set_sqlite_pragma(Foreign(), None)


@pytest.mark.ledger("S3-044")
def test_a_reset_takes_the_word_and_a_backup_first(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANTRY_URL", f"sqlite:///{tmp_path / 'data'}")
    monkeypatch.setenv("TENANTRY_ADMIN_PASSWORD", PASSWORD)
    before = assistant.door.tenancy, assistant.door.pack
    assistant.door.reset()
    assistant.initialize_primary_database()
    pack = assistant.door.pack
    pack.companies.create("Acme")
    with get_db_session("company_1") as db:
        db.add(SavedReport(report_data={}))
        db.commit()
    keys = KeyRing({"test": b"32 bytes that are made up for it"}, "test")
    archive = Archive(pack.tenancy, str(tmp_path / "backups"), keys=keys)
    with pytest.raises(EraseNotConfirmed):
        assistant.reset_all_databases(confirm="yes", archive=archive)
    assert get_database_path("company_1").exists()
    assert assistant.reset_all_databases(confirm=assistant.RESET_WORD, archive=archive) == 1
    with pytest.raises(TenantNotFound):
        get_db_session("company_1")
    assert [*(tmp_path / "backups").rglob("*")]
    with get_db_session("primary") as db:
        assert [user.username for user in db.scalars(select(User))] == ["admin"]
    assistant.door.use(*before)


@pytest.mark.ledger("S3-011")
def test_a_database_on_a_server_is_no_file(installed: Path) -> None:
    before = assistant.door.tenancy, assistant.door.pack
    tenancy = Tenancy("postgresql://nobody@127.0.0.1:1/none", AssistantBase)
    assistant.use(assistant.Assistant(tenancy))
    with pytest.raises(ConfigurationError, match="no file"):
        get_database_path("primary")
    assistant.door.use(*before)
    tenancy.close()


@pytest.mark.ledger("S3-052")
def test_the_page_leads_on_to_pages_that_are_there(installed: Path) -> None:
    page = SCRIPTS.parents[2] / "docs" / "packs" / "assistant.md"
    assert "docs/packs/assistant.md" in (SCRIPTS.parents[2] / "README.md").read_text(encoding="utf-8")
    for found in (page, SCRIPTS.parent / "README.md"):
        links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", found.read_text(encoding="utf-8"))
        assert links
        assert [link for link in links if not (found.parent / link).exists()] == []


@pytest.mark.ledger("S3-001")
def test_every_block_has_its_outcome() -> None:
    assert set(outcomes(SEED)) == set(BLOCKS[SEED])
