"""Who reads and who writes: a role that the walls hold gets an error, never fewer rows."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from cells import drop_roles

from tenantry import Config, Tenancy, Tenant, errors
from tenantry.archive import writing_postgres
from tenantry.archive.places import reading, unlisted, writing
from tenantry.archive.shapes import TableDigest
from tenantry.archive.writing_postgres import PostgresWriter

from .models import Base
from .places import digests, fill


@dataclass(frozen=True)
class Installation:
    """An installation with roles of its own, whose rights a test may change."""

    url: str
    config: Config
    logins: dict[str, str]
    tenant: Tenant
    whole: dict[str, TableDigest]

    @contextlib.contextmanager
    def opened(self, *, operator: str | None = "operator", owner: bool = True) -> Iterator[Tenancy]:
        """Opens a tenancy of the app's login, with a login in the operator's place."""
        given = {"operator_url": self.logins[operator]} if operator else {}
        given |= {"owner_url": self.url} if owner else {}
        with contextlib.closing(Tenancy(self.logins["app"], models=Base, config=self.config, **given)) as tenancy:
            yield tenancy

    @contextlib.contextmanager
    def changed(self, *statements: str, back: list[str]) -> Iterator[None]:
        """Changes what a role may do for a ``with`` block."""
        for lines in (statements, back):
            with psycopg.connect(self.url, autocommit=True) as owner:
                for line in lines:
                    owner.execute(line)
            if lines is statements:
                yield


@pytest.fixture(scope="module")
def installed(postgres: Any) -> Iterator[Installation]:
    prefix = f"roles_{uuid.uuid4().hex[:8]}"
    config = Config(role_prefix=prefix)
    names = {role: f"{prefix}_{role}_login" for role in ("app", "operator", "platform")}
    with postgres.lend_database() as url, contextlib.closing(Tenancy(url, models=Base, config=config)) as tenancy:
        tenancy.install(create_tables=True)
        logins = {role: tenancy.create_login(name, role=role) for role, name in names.items()}
        for slug in ("acme", "other"):
            tenant = tenancy.tenants.create(slug)
            with tenancy.transaction(tenant) as session:
                fill(session, tenant, seed=1, rows=3)
        yield Installation(url, config, logins, tenant, digests(tenancy, tenant))
    groups = [f"{prefix}_{role}" for role in ("owner", "app", "platform", "operator")]
    drop_roles(postgres, [*names.values(), *groups])


@pytest.mark.parametrize("operator", ["operator", None])
def test_the_operator_and_the_owner_read_every_row(installed: Installation, operator: str | None) -> None:
    with installed.opened(operator=operator) as tenancy:
        assert digests(tenancy, installed.tenant) == installed.whole
        assert all(found.rows for name, found in installed.whole.items() if name != "tenantry_counters")


@pytest.mark.parametrize("login", ["app", "platform"])
def test_another_login_in_the_operators_place_reads_nothing_and_says_so(installed: Installation, login: str) -> None:
    with installed.opened(operator=login) as tenancy:
        for door in (reading, writing):
            with pytest.raises(errors.BackupFiltered, match="may not act as"), door(tenancy, installed.tenant):
                pass


def test_without_a_login_that_may_the_way_out_is_said(installed: Installation) -> None:
    with installed.opened(operator=None, owner=False) as tenancy:
        for door in (reading, writing):
            with pytest.raises(errors.LoginRequired), door(tenancy, installed.tenant):
                pass
        with pytest.raises(errors.LoginRequired):
            unlisted(tenancy, installed.tenant)


def test_an_operator_who_lost_what_lets_it_see_all_rows_reads_none(installed: Installation) -> None:
    role = installed.config.role("operator")
    with (
        installed.changed(f"ALTER ROLE {role} NOBYPASSRLS", back=[f"ALTER ROLE {role} BYPASSRLS"]),
        installed.opened() as tenancy,
    ):
        for door in (reading, writing):
            with pytest.raises(errors.BackupFiltered, match="neither BYPASSRLS nor a policy"):
                _enter(door, tenancy, installed.tenant)


def _enter(door: Any, tenancy: Tenancy, tenant: Tenant) -> None:
    with door(tenancy, tenant):
        pass


def _policies(installed: Installation, form: str) -> tuple[list[str], list[str]]:
    role = installed.config.role("operator")
    names = list(installed.whole)
    made = [f"CREATE POLICY tenantry_operator ON {name} AS PERMISSIVE FOR ALL TO {role} {form}" for name in names]
    dropped = [f"DROP POLICY tenantry_operator ON {name}" for name in names]
    return (
        [f"ALTER ROLE {role} NOBYPASSRLS", *made],
        [f"ALTER ROLE {role} BYPASSRLS", *dropped],
    )


def test_an_operator_with_policies_instead_reads_by_copy_and_writes_in_sets(
    installed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small that rows refer to rows of other sets.
    monkeypatch.setattr(writing_postgres, "_ROWS_AT_ONCE", 2)
    made, dropped = _policies(installed, "USING (true) WITH CHECK (true)")
    tenant = installed.tenant
    with installed.changed(*made, back=dropped), installed.opened() as tenancy:
        assert digests(tenancy, tenant) == installed.whole
        with reading(tenancy, tenant) as reader:
            held = {table.name: list(reader.rows(table)) for table in reader.tables}
        with writing(tenancy, tenant) as writer:
            assert isinstance(writer, PostgresWriter)
            assert not writer.abilities.copies
            assert writer.clear() == {name: digest.rows for name, digest in installed.whole.items()}
            for name, chunks in held.items():
                assert writer.fill(name, chunks) == installed.whole[name].rows
            writer.settle()
        assert digests(tenancy, tenant) == installed.whole


@pytest.mark.parametrize("form", ["USING (false) WITH CHECK (true)", "USING (tenant_id IS NOT NULL)"])
def test_a_policy_that_does_not_plainly_show_all_is_no_leave_to_read(installed: Installation, form: str) -> None:
    made, dropped = _policies(installed, form)
    with (
        installed.changed(*made, back=dropped),
        installed.opened() as tenancy,
        pytest.raises(errors.BackupFiltered, match="neither BYPASSRLS nor a policy"),
    ):
        _enter(reading, tenancy, installed.tenant)


def test_a_policy_that_restricts_the_operator_is_found(installed: Installation) -> None:
    made, dropped = _policies(installed, "USING (true) WITH CHECK (true)")
    restriction = "CREATE POLICY hidden ON things AS RESTRICTIVE FOR SELECT TO PUBLIC USING (number > 0)"
    with (
        installed.changed(*made, restriction, back=[*dropped, "DROP POLICY hidden ON things"]),
        installed.opened() as tenancy,
        pytest.raises(errors.BackupFiltered, match="things"),
    ):
        _enter(reading, tenancy, installed.tenant)
    # Past the walls a policy hides nothing.
    with installed.changed(restriction, back=["DROP POLICY hidden ON things"]), installed.opened() as tenancy:
        assert digests(tenancy, installed.tenant) == installed.whole


def test_a_table_that_the_operator_may_not_read_is_an_error(installed: Installation) -> None:
    role = installed.config.role("operator")
    taken, given = f"REVOKE SELECT ON named FROM {role}", f"GRANT SELECT ON named TO {role}"
    with (
        installed.changed(taken, back=[given]),
        installed.opened() as tenancy,
        pytest.raises(errors.BackupFiltered, match="named"),
    ):
        digests(tenancy, installed.tenant)
