"""Each planted fault is found by its code and nothing else, and the fix that the doctor names cures it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest

from .clinic import Clinic


@dataclass(frozen=True)
class Fault:
    """A fault of one table or schema: what plants it in ``{s}``, and what cures it where the fix is not SQL alone."""

    code: str
    plant: str
    object: str
    cure: str | None = None


POLICY = "(tenant_id = (select current_setting('tenantry.tenant')::uuid))"
TEST = f"USING {POLICY} WITH CHECK {POLICY}"

# Planted in common tables, in a tenant's schema, and in a tenant's database alike.
EVERYWHERE = [
    Fault("D201", "GRANT TRUNCATE ON {s}.tickets TO {app}", "{s}.tickets"),
    Fault(
        "D201",
        "GRANT REFERENCES (id) ON {s}.tickets TO {app}",
        "{s}.tickets",
        "REVOKE ALL (id) ON {s}.tickets FROM {app}",
    ),
    Fault("D201", "GRANT TRIGGER ON {s}.tickets TO {login}", "{s}.tickets"),
    Fault("D202", "GRANT CREATE ON SCHEMA {s} TO {app}", "{s}"),
    Fault("D204", "GRANT SELECT ON {s}.tickets TO {platform}", "{s}.tickets"),
    Fault("D208", "GRANT CREATE ON SCHEMA {s} TO PUBLIC", "{s}"),
    Fault("D210", "GRANT SELECT ON {s}.tickets TO PUBLIC", "{s}.tickets"),
    Fault("D212", "REVOKE UPDATE ON {s}.tickets FROM {app}", "{s}.tickets"),
    Fault(
        "D214",
        "CREATE TABLE {s}.alembic_version (version_num varchar(32)); GRANT SELECT ON {s}.alembic_version TO {app}",
        "{s}.alembic_version",
        "DROP TABLE {s}.alembic_version",
    ),
    Fault("D301", "ALTER TABLE {s}.tickets DISABLE ROW LEVEL SECURITY", "{s}.tickets"),
    Fault("D302", "ALTER TABLE {s}.tickets NO FORCE ROW LEVEL SECURITY", "{s}.tickets"),
    Fault("D303", "DROP POLICY tenantry_isolation ON {s}.tickets", "{s}.tickets"),
    Fault("D304", "ALTER POLICY tenantry_isolation ON {s}.tickets WITH CHECK (true)", "{s}.tickets"),
    Fault("D304", "ALTER POLICY tenantry_isolation ON {s}.tickets TO PUBLIC", "{s}.tickets"),
    Fault(
        "D304",
        "DROP POLICY tenantry_isolation ON {s}.tickets; "
        f"CREATE POLICY tenantry_isolation ON {{s}}.tickets FOR SELECT TO {{app}}, {{owner}} USING {POLICY}",
        "{s}.tickets",
    ),
    Fault(
        "D304",
        "ALTER POLICY tenantry_isolation ON {s}.tickets USING "
        "(tenant_id = (select nullif(current_setting('tenantry.tenant', true), '')::uuid))",
        "{s}.tickets",
    ),
    Fault("D305", "CREATE POLICY everything ON {s}.tickets TO {app} USING (true)", "{s}.tickets"),
    Fault("D305", "CREATE POLICY tenantry_operator ON {s}.tickets TO {operator}, {app} USING (true)", "{s}.tickets"),
    Fault(
        "D306",
        "CREATE TABLE {s}.tickets_2025 () INHERITS ({s}.tickets)",
        "{s}.tickets_2025",
        "DROP TABLE {s}.tickets_2025",
    ),
    Fault("D201", "GRANT DELETE ON {s}.events TO {app}", "{s}.events"),
    Fault("D313", "DROP TRIGGER tenantry_append_only ON {s}.events", "{s}.events"),
    Fault("D313", "ALTER TABLE {s}.events DISABLE TRIGGER tenantry_append_only_truncate", "{s}.events"),
    Fault(
        "D313",
        "DROP TRIGGER tenantry_append_only ON {s}.events; CREATE TRIGGER tenantry_append_only BEFORE UPDATE "
        "ON {s}.events FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "{s}.events",
    ),
    Fault(
        "D401",
        "ALTER TABLE {s}.tickets ADD CONSTRAINT crossed FOREIGN KEY (id, company_id) REFERENCES {s}.companies",
        "{s}.tickets.crossed",
        "ALTER TABLE {s}.tickets DROP CONSTRAINT crossed",
    ),
    Fault(
        "D402",
        "ALTER TABLE {s}.notes DROP CONSTRAINT pk_notes, ADD CONSTRAINT pk_notes PRIMARY KEY (id, tenant_id)",
        "{s}.notes.pk_notes",
        "ALTER TABLE {s}.notes DROP CONSTRAINT pk_notes, ADD CONSTRAINT pk_notes PRIMARY KEY (tenant_id, id)",
    ),
    Fault(
        "D402",
        "ALTER TABLE {s}.notes DROP CONSTRAINT pk_notes",
        "{s}.notes",
        "ALTER TABLE {s}.notes ADD CONSTRAINT pk_notes PRIMARY KEY (tenant_id, id)",
    ),
    Fault(
        "D405",
        "SET session_replication_role = replica; INSERT INTO {s}.tickets (tenant_id, id, subject, company_id) "
        "VALUES (gen_random_uuid(), gen_random_uuid(), 'lost', gen_random_uuid())",
        "{s}.tickets.fk_tickets_company_id",
        "DELETE FROM {s}.tickets WHERE subject = 'lost'",
    ),
    Fault("D403", "CREATE UNIQUE INDEX once ON {s}.tickets (subject)", "{s}.tickets.once", "DROP INDEX {s}.once"),
    Fault(
        "D403", "CREATE UNIQUE INDEX once ON {s}.tickets (lower(subject))", "{s}.tickets.once", "DROP INDEX {s}.once"
    ),
    Fault(
        "D501",
        "CREATE VIEW {s}.all_tickets AS SELECT * FROM {s}.tickets",
        "{s}.all_tickets",
        "DROP VIEW {s}.all_tickets",
    ),
    Fault(
        "D501",
        "CREATE VIEW {s}.inner_view WITH (security_invoker) AS SELECT * FROM {s}.tickets; "
        "CREATE VIEW {s}.outer_view AS SELECT * FROM {s}.inner_view",
        "{s}.outer_view",
        "DROP VIEW {s}.outer_view, {s}.inner_view",
    ),
    Fault("D502", "CREATE MATERIALIZED VIEW {s}.kept AS SELECT * FROM {s}.tickets WITH NO DATA", "{s}.kept"),
    Fault(
        "D503",
        "CREATE FUNCTION {s}.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'select count(*) from {s}.tickets'",
        "{s}.peek()",
        "DROP FUNCTION {s}.peek()",
    ),
]

# What only the server's common database can suffer from.
AT_HOME = [
    Fault("D203", "GRANT TEMP ON DATABASE {database} TO {app}", "{database}"),
    Fault("D205", "GRANT SELECT ON public.vendors TO {app}", "public.vendors"),
    Fault(
        "D205",
        "GRANT SELECT (secret) ON public.vendors TO {login}",
        "public.vendors",
        "REVOKE ALL (secret) ON public.vendors FROM {login}",
    ),
    Fault("D206", "GRANT SELECT ON tenantry.tenants TO {app}", "tenantry.tenants"),
    Fault("D206", "GRANT SELECT ON tenantry.journal TO {operator}", "tenantry.journal"),
    Fault("D207", "GRANT INSERT ON tenantry_shared.countries TO {app}", "tenantry_shared.countries"),
    Fault("D209", "GRANT TEMP ON DATABASE {database} TO PUBLIC", "{database}"),
    Fault(
        "D211",
        "GRANT EXECUTE ON FUNCTION pg_catalog.lo_create(oid) TO PUBLIC",
        "{database}",
        "REVOKE EXECUTE ON FUNCTION pg_catalog.lo_create(oid) FROM PUBLIC",
    ),
    Fault("D213", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {app}", "{database}"),
    Fault("D213", "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC", "public"),
    Fault(
        "D307",
        "CREATE TABLE public.leftover (note text); GRANT SELECT ON public.leftover TO {app}",
        "public.leftover",
        "DROP TABLE public.leftover",
    ),
    Fault(
        "D501",
        "CREATE VIEW public.prices AS SELECT * FROM public.vendors; GRANT SELECT ON public.prices TO {app}",
        "public.prices",
        "DROP VIEW public.prices",
    ),
    Fault("D504", "ALTER FUNCTION tenantry.resolve(text, text) RESET search_path", "tenantry.resolve(text,text)"),
    Fault(
        "D505",
        "CREATE TABLE tenantry_extensions.tickets (id int)",
        "tenantry_extensions.tickets",
        "DROP TABLE tenantry_extensions.tickets",
    ),
    Fault("D506", "CREATE EXTENSION dblink SCHEMA tenantry_extensions", "extension dblink"),
    Fault("D507", "SELECT lo_create(4711)", "{database}", "SELECT lo_unlink(4711)"),
    Fault("D310", "CREATE TABLE {t}.extra (id int)", "{t}.extra", "DROP TABLE {t}.extra"),
    Fault("D312", "CREATE TYPE {t}.mood AS ENUM ('glad', 'sad')", "{t}.mood", "DROP TYPE {t}.mood"),
    Fault("D312", "CREATE DOMAIN {t}.short AS text CHECK (length(value) < 9)", "{t}.short", "DROP DOMAIN {t}.short"),
]

ROLES = [
    Fault("D101", "ALTER ROLE {login} SUPERUSER", "{login}", "ALTER ROLE {login} NOSUPERUSER"),
    Fault("D102", "ALTER ROLE {login} BYPASSRLS", "{login}"),
    Fault(
        "D103",
        "GRANT CREATE ON SCHEMA public TO {login}; ALTER TABLE public.notes OWNER TO {login}; "
        "REVOKE CREATE ON SCHEMA public FROM {login}",
        "{login}",
        "ALTER TABLE public.notes OWNER TO CURRENT_USER",
    ),
    Fault("D104", "GRANT {operator} TO {login}", "{login}"),
    Fault("D104", "GRANT pg_write_all_data TO {app}", "{login}"),
    Fault("D104", "GRANT pg_read_all_data TO {login}", "{login}"),
    Fault("D105", "ALTER ROLE {login} CREATEROLE", "{login}"),
    Fault("D106", "GRANT CONNECT ON DATABASE {database} TO {login}; REVOKE {app} FROM {login}", "{login}"),
    Fault("D107", "ALTER ROLE {app} LOGIN", "{app}"),
    Fault("D109", "ALTER ROLE {operator} NOBYPASSRLS", "{database}", "ALTER ROLE {operator} BYPASSRLS"),
]


def _places(clinic: Clinic) -> list[tuple[str, str, str]]:
    """Returns the database and the schema of each kind of placement, and how findings there begin."""
    own = clinic.own_database
    return [(clinic.database, "public", ""), (clinic.database, clinic.schema, ""), (own, "public", f"{own}/")]


def _ids(faults: list[Fault]) -> list[str]:
    return [f"{fault.code}-{number}" for number, fault in enumerate(faults)]


@pytest.mark.parametrize("fault", EVERYWHERE, ids=_ids(EVERYWHERE))
def test_a_fault_wherever_a_placement_stands(clinic, fault):
    """Planted in common tables, in a tenant's schema and in a tenant's database at once."""
    _check(clinic, fault, _places(clinic))


@pytest.mark.parametrize("fault", AT_HOME, ids=_ids(AT_HOME))
def test_a_fault_of_the_common_database(clinic, fault):
    _check(clinic, fault, _places(clinic)[:1])


def _check(clinic: Clinic, fault: Fault, places: list[tuple[str, str, str]]) -> None:
    where = {}
    for database, schema, prefix in places:
        clinic.run(_fill(clinic, fault.plant, schema), database=database)
        cure = _fill(clinic, fault.cure, schema) if fault.cure else None
        where[prefix + _fill(clinic, fault.object, schema)] = (database, cure)
    found = clinic.findings()
    assert {(finding.code, finding.object) for finding in found} == {(fault.code, name) for name in where}
    for finding in found:
        database, cure = where[finding.object]
        clinic.run(cure or finding.fix, database=database)
    clinic.assert_well()


def _fill(clinic: Clinic, text: str, schema: str) -> str:
    return clinic.fill(text.replace("{s}", schema))


@pytest.mark.parametrize("fault", ROLES, ids=_ids(ROLES))
def test_a_fault_of_a_role(clinic, fault):
    clinic.run(clinic.fill(fault.plant))
    # A role's fault may show in every database; the first finding names the common one.
    found = [finding for finding in clinic.findings() if finding.object != clinic.own_database]
    assert [(finding.code, finding.object) for finding in found] == [(fault.code, clinic.fill(fault.object))]
    clinic.run(clinic.fill(fault.cure) if fault.cure else found[0].fix)
    clinic.assert_well()


def test_a_table_missing_from_the_common_schema(clinic):
    clinic.run("DROP TABLE public.notes")
    assert [(finding.code, finding.object) for finding in clinic.findings()] == [("D308", "public")]
    clinic.tenancy.install(create_tables=True)
    clinic.assert_well()


def test_a_table_missing_from_a_tenants_schema(clinic):
    clinic.run(f"DROP TABLE {clinic.schema}.notes")
    assert [(finding.code, finding.object) for finding in clinic.findings()] == [("D311", clinic.schema)]


def test_a_table_missing_from_a_tenants_database(clinic):
    clinic.run("DROP TABLE public.notes", database=clinic.own_database)
    assert [(finding.code, finding.object) for finding in clinic.findings()] == [("D311", clinic.own_database)]


def test_a_schema_without_a_tenant(clinic):
    name = f"t_{uuid.uuid4().hex}"
    clinic.run(f"CREATE SCHEMA {name}")
    found = clinic.findings()
    assert [(finding.code, finding.object) for finding in found] == [("D601", name)]
    clinic.run(found[0].fix)
    clinic.assert_well()


def test_a_database_without_a_tenant(clinic):
    name = f"t_{uuid.uuid4().hex}"
    clinic.run(
        f"CREATE DATABASE {name} TEMPLATE template0", f"COMMENT ON DATABASE {name} IS 'tenantry: {clinic.database}'"
    )
    found = clinic.findings()
    assert [(finding.code, finding.object) for finding in found] == [("D601", name)]
    clinic.run(found[0].fix)
    clinic.assert_well()


def test_a_database_that_nobody_claims_is_a_notice_and_anothers_is_none(clinic):
    names = [f"t_{uuid.uuid4().hex}" for _ in range(2)]
    for name in names:
        clinic.run(f"CREATE DATABASE {name} TEMPLATE template0")
    clinic.run(f"COMMENT ON DATABASE {names[1]} IS 'tenantry: another_installation'")
    report = clinic.examine()
    for name in names:
        clinic.run(f"DROP DATABASE {name}")
    noticed = {notice.object for notice in report.notices if notice.code == "N603"}
    assert names[0] in noticed
    assert names[1] not in noticed
    assert not {finding.object for finding in report.findings} & set(names)
    clinic.assert_well()


@pytest.mark.parametrize("cell", ["schema", "database"])
def test_a_tenant_without_its_placement(clinic, cell):
    statement = {
        "schema": f"DROP SCHEMA {clinic.schema} CASCADE",
        "database": f"DROP DATABASE {clinic.own_database} WITH (FORCE)",
    }
    clinic.tenancy.close()
    clinic.run(statement[cell])
    assert [(finding.code, finding.object) for finding in clinic.findings()] == [
        ("D602", clinic.tenants[cell].physical)
    ]


def test_a_catalog_that_is_gone(clinic):
    clinic.run("DROP SCHEMA tenantry CASCADE")
    report = clinic.examine()
    assert [finding.code for finding in report.findings if finding.code != "D701"] == ["D108"]
    assert [unseen.code for unseen in report.unseen] == ["U601"]


def test_a_second_login_of_the_app_is_judged_without_its_url(clinic):
    name = f"{clinic.prefix}_other"
    clinic.run(f"CREATE ROLE {name} LOGIN", clinic.fill(f"GRANT {{app}}, {{operator}} TO {name}"))
    found = clinic.findings()
    clinic.run(f"DROP ROLE {name}")
    assert [(finding.code, finding.object) for finding in found] == [("D104", name)]
    clinic.assert_well()


def test_an_exclusion_constraint_across_tenants(clinic):
    clinic.run(
        "CREATE EXTENSION btree_gist SCHEMA tenantry_extensions",
        "ALTER TABLE public.tickets ADD CONSTRAINT apart "
        "EXCLUDE USING gist (subject tenantry_extensions.gist_text_ops WITH =)",
    )
    found = clinic.findings()
    clinic.run("ALTER TABLE public.tickets DROP CONSTRAINT apart", "DROP EXTENSION btree_gist")
    assert [(finding.code, finding.object) for finding in found] == [("D403", "public.tickets.apart")]
    clinic.assert_well()


def test_a_tenant_column_that_may_be_null(clinic):
    clinic.run("ALTER TABLE public.notes DROP CONSTRAINT pk_notes, ALTER COLUMN tenant_id DROP NOT NULL")
    codes = [(finding.code, finding.object) for finding in clinic.findings()]
    assert codes == [("D402", "public.notes"), ("D404", "public.notes.tenant_id")]


def test_a_tenant_half_made_or_half_erased_is_a_notice(clinic):
    clinic.run(f"UPDATE tenantry.tenants SET status = 'erasing' WHERE slug = '{clinic.tenants['rows'].slug}'")
    report = clinic.examine()
    clinic.run(f"UPDATE tenantry.tenants SET status = 'active' WHERE slug = '{clinic.tenants['rows'].slug}'")
    assert [notice.object for notice in report.notices if notice.code == "N602"] == [clinic.tenants["rows"].slug]
    clinic.assert_well()


def test_a_login_that_is_refused(clinic):
    tenancy = clinic.open(
        platform_url=clinic.server.url(clinic.database, login=f"{clinic.prefix}_platform_login", password="no")
    )
    whole, clinic.tenancy = clinic.tenancy, tenancy
    found = clinic.findings()
    clinic.tenancy = whole
    tenancy.close()
    assert [(finding.code, finding.object) for finding in found] == [("D901", "platform login")]
    clinic.assert_well()
