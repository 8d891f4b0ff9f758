"""What stands ready before its tenant comes, and what migrations leave behind, is known and judged like the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantry import Config, Tenancy
from tenantry.doctor import examine
from tenantry.types import Isolation

from .clinic import Clinic, is_superuser, opened
from .models import Base

REVISION = 'revision = "first"\ndown_revision = None\n'


@pytest.fixture(scope="module")
def migrations(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A history with one revision, at which every home is made."""
    directory = tmp_path_factory.mktemp("migrations")
    (directory / "versions").mkdir()
    (directory / "versions" / "first.py").write_text(REVISION)
    return str(directory)


@pytest.fixture(scope="module", params=["superuser", "plain"])
def prepared(request: pytest.FixtureRequest, postgres: Any, migrations: str) -> Iterator[Clinic]:
    """An installation with migrations, a template, and placements kept ready."""
    if request.param == "superuser" and not is_superuser(postgres.url()):
        pytest.skip("the server under test gave no superuser")
    with opened(postgres, owner=request.param, migrations=migrations) as clinic:
        clinic.tenancy.tenants.warm("schema", size=2)
        clinic.tenancy.tenants.warm("database", size=1)
        yield clinic


def ready(tenancy: Tenancy, isolation: str) -> list[str]:
    placements = tenancy.tenants.warm_placements()
    return [placement.physical for placement in placements if placement.isolation is Isolation(isolation)]


def test_records_of_migrations_templates_and_ready_placements_are_well(prepared: Clinic) -> None:
    with prepared.server.admin(prepared.database) as admin:
        assert admin.execute("SELECT * FROM alembic_version").fetchall() == [("first",)]
        templates = admin.execute("SELECT count(*) FROM pg_database WHERE datname ~ '^tenantry_template_'").fetchone()
    assert templates != (0,)
    assert len(ready(prepared.tenancy, "schema")) == 2
    assert prepared.findings() == []
    assert {notice.code for notice in prepared.examine().notices} <= {"N103", "N201", "N701", "N702"}


@pytest.mark.parametrize("isolation", ["schema", "database"])
def test_the_walls_of_what_is_kept_ready_are_judged(prepared: Clinic, isolation: str) -> None:
    (name, *_) = ready(prepared.tenancy, isolation)
    database, schema = (prepared.database, name) if isolation == "schema" else (name, "public")
    prepared.run(f"ALTER TABLE {schema}.tickets NO FORCE ROW LEVEL SECURITY", database=database)
    (found,) = prepared.findings()
    assert found.code == "D302"
    assert name in found.object
    prepared.run(found.fix, database=database)
    assert prepared.findings() == []


def test_the_record_of_migrations_is_the_owners_alone(prepared: Clinic) -> None:
    prepared.run(prepared.fill("GRANT UPDATE ON public.alembic_version TO {app}"))
    (found,) = prepared.findings()
    assert (found.code, found.object) == ("D214", "public.alembic_version")
    prepared.run(found.fix)
    assert prepared.findings() == []


def test_what_is_kept_ready_and_is_not_there(prepared: Clinic) -> None:
    gone = ready(prepared.tenancy, "schema")[1]
    prepared.run(f"DROP SCHEMA {gone} CASCADE")
    (found,) = prepared.findings()
    assert (found.code, found.object) == ("D603", gone)
    prepared.tenancy.tenants.warm("schema", size=0)
    prepared.tenancy.tenants.warm("schema", size=2)
    assert prepared.findings() == []


def test_files_kept_ready(tmp_path: Path, migrations: str) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base, config=Config(migrations=migrations))
    tenancy.install()
    tenancy.tenants.create("acme")
    tenancy.tenants.warm("database", size=2)
    assert examine(tenancy).findings == ()
    first, second = (tmp_path / name for name in ready(tenancy, "database"))
    first.unlink()
    second.write_bytes(b"no database at all, to be sure")
    found = examine(tenancy).findings
    tenancy.close()
    assert [(finding.code, finding.object) for finding in found] == [("D603", str(first)), ("D804", str(second))]
