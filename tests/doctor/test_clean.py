"""A server that was installed as it should be gives no findings, whoever installed it and whoever looks."""

from __future__ import annotations

import psycopg
import pytest

from tenantry import Tenancy
from tenantry.doctor import CODES, examine

from .clinic import is_superuser, opened, secret_of
from .models import Base


@pytest.fixture(scope="module", params=["superuser", "plain"])
def installed(request, postgres):
    if request.param == "superuser" and not is_superuser(postgres.url()):
        pytest.skip("the server under test gave no superuser")
    with opened(postgres, owner=request.param) as clinic:
        yield clinic


def test_nothing_is_found(installed):
    assert installed.findings() == []


def test_everything_was_looked_at(installed):
    report = installed.examine()
    assert report.unseen == ()
    assert len(report.examined) == 1


def test_only_what_the_owner_may_not_do_is_noticed(installed):
    """Without a superuser, BYPASSRLS cannot be granted and large objects cannot be closed."""
    notices = {notice.code for notice in installed.examine().notices} - {"N701", "N702"}
    assert notices == (set() if is_superuser(installed.owner_url) else {"N103", "N201"})


def test_without_the_owner_the_platform_lists_and_nothing_is_found(installed):
    tenancy = installed.open(owner_url=None)
    report = examine(tenancy)
    tenancy.close()
    assert [finding for finding in report.findings if finding.code != "D701"] == []
    assert report.unseen == ()


def test_the_app_login_alone_says_what_it_could_not_look_at(installed):
    tenancy = installed.open(owner_url=None, platform_url=None, operator_url=None)
    report = examine(tenancy)
    tenancy.close()
    assert [finding for finding in report.findings if finding.code != "D701"] == []
    assert [unseen.code for unseen in report.unseen] == ["U405", "U601"]


def test_the_record_of_migrations_is_no_stranger(installed):
    """Neither where nobody has a right on it, nor what its owner has by default."""
    installed.run("CREATE TABLE public.alembic_version (version_num varchar(32))")
    installed.run(f"CREATE TABLE {installed.schema}.alembic_version (version_num varchar(32))")
    assert installed.findings() == []
    installed.run("DROP TABLE public.alembic_version", f"DROP TABLE {installed.schema}.alembic_version")


def test_no_secret_is_reported(installed):
    report = installed.examine()
    said = repr(report)
    for url in (installed.owner_url, *installed.urls.values()):
        assert secret_of(url) not in said


def test_examining_changes_nothing(installed):
    """The system catalog is the same afterwards, to the row."""
    with installed.server.admin(installed.database) as connection:
        before = _everything(connection)
        installed.examine()
        assert _everything(connection) == before


def _everything(connection: psycopg.Connection) -> list[object]:
    questions = (
        "select oid, xmin::text, relname, relacl::text from pg_class where relkind <> 't' order by 1",
        "select oid, xmin::text from pg_policy order by 1",
        "select oid, xmin::text from pg_proc order by 1",
    )
    return [connection.execute(question).fetchall() for question in questions]


def test_a_development_server_is_noticed_and_not_blamed(postgres, fresh_database):
    if not is_superuser(fresh_database):
        pytest.skip("sessions of a login that is no superuser are not demoted")
    tenancy = Tenancy(fresh_database, models=Base)
    with psycopg.connect(fresh_database) as connection:
        embedded = connection.execute("select current_setting('tenantry.embedded', true)").fetchone() == ("on",)
    if not embedded:
        pytest.skip("the server under test is not the embedded one")
    tenancy.install(create_tables=True)
    tenancy.tenants.create("acme", isolation="schema")
    report = examine(tenancy)
    tenancy.close()
    assert report.findings == ()
    assert "N101" in {notice.code for notice in report.notices}


def test_before_the_installation(postgres):
    with opened(postgres, owner="plain") as clinic:
        clinic.tenancy.close()
        empty = clinic.server.create_database()
        tenancy = Tenancy(clinic.server.url(empty), models=Base, config=clinic.config)
        try:
            codes = {finding.code for finding in examine(tenancy).findings}
        finally:
            tenancy.close()
            clinic.server.drop_database(empty)
    assert "D108" in codes


def test_a_server_that_does_not_answer_is_a_finding():
    tenancy = Tenancy("postgresql://app:hush-hush@127.0.0.1:1/saas", models=Base)
    report = examine(tenancy)
    assert [finding.code for finding in report.findings] == ["D901"]
    assert "hush-hush" not in repr(report)


def test_every_code_is_explained_once():
    assert all(code[0] in "DNU" and code[1:].isdigit() and text for code, text in CODES.items())
    assert len(set(CODES.values())) >= len(CODES) - 3
