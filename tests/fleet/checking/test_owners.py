"""A check by an owner as managed servers give it: no superuser, and blind behind its own walls."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tenantry.errors import LoginRequired
from tenantry.fleet.checking import check

from ...doctor.clinic import opened


def test_an_owner_that_is_no_superuser_sees_all_that_is_wrong(postgres: Any) -> None:
    with opened(postgres, owner="plain") as clinic:
        assert check(clinic.tenancy) == ()
        before = everything(clinic)
        assert check(clinic.tenancy) == ()
        assert everything(clinic) == before
        tenant = clinic.tenants["schema"]
        clinic.run(
            f"ALTER TABLE {clinic.schema}.notes ADD COLUMN by_hand text",
            f"ALTER TABLE {clinic.schema}.tickets DROP CONSTRAINT fk_tickets_company_id",
            f"INSERT INTO {clinic.schema}.tickets (tenant_id, id, subject, company_id) "
            f"VALUES ('{tenant.id}', '{uuid.uuid4()}', 'lost', '{uuid.uuid4()}')",
            f"ALTER TABLE {clinic.schema}.tickets ADD CONSTRAINT fk_tickets_company_id FOREIGN KEY "
            f"(tenant_id, company_id) REFERENCES {clinic.schema}.companies ON DELETE CASCADE NOT VALID",
        )
        found = [(finding.code, finding.object) for finding in check(clinic.tenancy)]
        assert found == [(code, tenant.slug) for code in ("F201", "F302", "F304")]


def test_a_check_is_the_owners(postgres: Any) -> None:
    with opened(postgres) as clinic:
        tenancy = clinic.open(owner_url=None)
        with pytest.raises(LoginRequired, match="owner"):
            check(tenancy)
        tenancy.close()


def everything(clinic: Any) -> list[tuple[Any, ...]]:
    """Returns the relations of a database with the transaction that last changed each."""
    with clinic.server.admin(clinic.database) as admin:
        found: list[tuple[Any, ...]] = admin.execute(
            "SELECT oid, xmin::text, relname, relacl::text FROM pg_class WHERE relkind <> 't' ORDER BY 1"
        ).fetchall()
    return found
