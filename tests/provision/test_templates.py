"""Tenants' databases and files are copies of a template that is never stale, never half made, and closed to all."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, select, text

from tenantry import Tenancy
from tenantry.doctor import examine
from tenantry.isolation.templates import drop_templates

from .models import Country, NewBase, NewCompany, Ticket
from .places import Place, PostgresPlace, SqlitePlace, write_revision


def templates(place: Place) -> list[str]:
    if isinstance(place, PostgresPlace):
        return sorted(place.databases("tenantry_template"))
    assert isinstance(place, SqlitePlace)
    return sorted(path.name for path in place.directory.glob("template*"))


def create(tenancy: Tenancy, slug: str) -> None:
    tenancy.tenants.create(slug, isolation="database")
    with tenancy.transaction(slug) as db:
        db.add(Ticket(subject=slug))
    with tenancy.session(slug) as db:
        assert db.scalars(select(Ticket.subject)).all() == [slug]


def test_one_template_serves_many_tenants(place: Place) -> None:
    with place.opened() as tenancy:
        create(tenancy, "first")
        made = templates(place)
        create(tenancy, "second")
        assert templates(place) == made
        assert len(made) == 1


def test_a_copy_passes_for_one_made_by_hand(place: Place) -> None:
    with place.opened() as tenancy:
        create(tenancy, "acme")
        assert [finding for finding in examine(tenancy).findings if finding.code != "D701"] == []


def test_new_models_and_new_revisions_get_a_template_of_their_own(place: Place) -> None:
    with place.opened() as tenancy:
        create(tenancy, "first")
        old = templates(place)
    with place.opened(NewBase) as tenancy:
        tenancy.tenants.create("other-models", isolation="database")
        with tenancy.transaction("other-models") as db:
            db.add(NewCompany(name="Acme", city="Bonn"))
    between = templates(place)
    write_revision(place.scripts, "0002", "0001")
    with place.opened(NewBase) as tenancy:
        tenancy.tenants.create("other-revision", isolation="database")
    assert old[0] in between
    assert len(between) == 2
    # The newest and the one before it stay.
    assert len(templates(place)) == 2
    assert old[0] not in templates(place)


def test_shared_rows_are_those_of_today(place: Place) -> None:
    with place.opened() as tenancy:
        for turn, codes in enumerate((["de"], ["at", "de"], ["at"])):
            with tenancy.platform() as db:
                db.execute(text("delete from countries") if place.kind == "sqlite" else Country.__table__.delete())
                db.execute(insert(Country), [{"code": code} for code in codes])
                db.commit()
            tenancy.tenants.create(f"tenant-{turn}", isolation="database")
            with tenancy.session(f"tenant-{turn}") as db:
                assert db.scalars(select(Country.code).order_by(Country.code)).all() == codes


def test_nobody_comes_into_a_template(on_postgres: PostgresPlace) -> None:
    with on_postgres.opened() as tenancy:
        create(tenancy, "acme")
        (name,) = templates(on_postgres)
        with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
            psycopg.connect(on_postgres.server.url(name))


def test_a_copy_is_closed_to_everybody_else(on_postgres: PostgresPlace) -> None:
    """What PostgreSQL keeps outside a database is copied with no template."""
    with on_postgres.opened() as tenancy, on_postgres.server.admin() as admin:
        tenant = tenancy.tenants.create("acme", isolation="database")
        question = "select acl.grantee::regrole::text, acl.privilege_type from pg_database, aclexplode(datacl) acl"
        granted = admin.execute(f"{question} where datname = %s", (tenant.physical,)).fetchall()
        roles = {role for role, right in granted if right == "CONNECT"}
        groups = {on_postgres.config.role(name) for name in ("owner", "app", "platform", "operator")}
        assert groups <= roles
        assert "-" not in roles  # PUBLIC


def test_a_copy_has_the_extensions(postgres: Any, tmp_path: Any) -> None:
    place = PostgresPlace(postgres, tmp_path / "migrations", extensions=("pg_trgm",))
    with place.opened() as tenancy:
        tenancy.tenants.create("acme", isolation="database")
        with tenancy.session("acme") as db:
            assert db.execute(text("select 'acme' % 'acme'")).scalar_one() is True
    place.close()


def test_what_a_crash_left_of_a_template_is_made_anew(on_postgres: PostgresPlace) -> None:
    with on_postgres.opened() as tenancy:
        create(tenancy, "first")
        (name,) = templates(on_postgres)
        with on_postgres.server.admin() as admin:
            admin.execute(f"DROP DATABASE {name}")
            admin.execute(f"CREATE DATABASE {name}")
        create(tenancy, "second")
        assert templates(on_postgres) == [name]


def test_many_who_find_no_template_make_one(place: Place) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        with place.opened() as tenancy:
            try:
                create(tenancy, f"tenant-{number}")
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(templates(place)) == 1


def test_templates_can_be_dropped(on_postgres: PostgresPlace) -> None:
    with on_postgres.opened() as tenancy:
        create(tenancy, "acme")
        with tenancy.servers.main.owner(action="Dropping templates") as owner:
            drop_templates(tenancy.servers.main, owner)
        assert templates(on_postgres) == []
