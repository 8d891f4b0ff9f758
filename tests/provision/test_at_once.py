"""A schema on the catalog's own server: registered, made and opened in one transaction, or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tenantry import Tenancy, errors
from tenantry.events import Step, listen

from .places import PostgresPlace
from .test_warm import placements, use

SLUGS = [f"tenant-{number}" for number in range(8)]


def journal(place: PostgresPlace) -> list[tuple[str, str]]:
    """Returns the step and the state of every creation."""
    with place.server.admin(place.database) as admin:
        question = "select step, state from tenantry.journal where kind = 'create' order by created_at"
        return list(admin.execute(question).fetchall())


def looking(tenancy: Tenancy) -> Tenancy:
    """Has the process look at the catalog, as every request does."""
    with pytest.raises(errors.TenantNotFound):
        tenancy.tenants.get("nobody")
    return tenancy


def test_one_transaction_makes_it(on_postgres: PostgresPlace) -> None:
    """Before the transaction the journal knows nothing, and afterwards that the creation is done."""
    heard: list[tuple[str, int]] = []

    def hear(step: Step) -> None:
        heard.append((step.name, len(journal(on_postgres))))

    with on_postgres.opened() as tenancy:
        looking(tenancy)
        stop = listen(hear)
        try:
            tenant = tenancy.tenants.create("acme", isolation="schema", identities={"company": "it's \\ 'Acme'"})
        finally:
            stop()
        use(tenancy, "acme")
        assert tenancy.tenants.get(("company", "it's \\ 'Acme'")) == tenant
    assert heard == [("register", 0), ("place", 0), ("activate", 0), ("done", 1)]
    assert journal(on_postgres) == [("active", "done")]
    assert placements(on_postgres) == {tenant.physical}


def test_what_is_refused_leaves_nothing(on_postgres: PostgresPlace) -> None:
    with on_postgres.opened() as tenancy:
        looking(tenancy).tenants.create("acme", isolation="schema", identities={"company": "acme"})
        before = placements(on_postgres), journal(on_postgres)
        with pytest.raises(errors.TenantExists):
            tenancy.tenants.create("acme", isolation="schema")
        with pytest.raises(errors.IdentityTaken):
            tenancy.tenants.create("other", isolation="schema", identities={"company": "acme"})
        assert (placements(on_postgres), journal(on_postgres)) == before
        assert [tenant.slug for tenant in tenancy.tenants.list()] == ["acme"]


def test_many_at_once_beside_an_installation(on_postgres: PostgresPlace) -> None:
    with on_postgres.opened() as tenancy, ThreadPoolExecutor(5) as pool:
        looking(tenancy)
        installing = pool.submit(tenancy.install)
        made = list(pool.map(lambda slug: tenancy.tenants.create(slug, isolation="schema"), SLUGS))
        installing.result()
        for slug in SLUGS:
            use(tenancy, slug)
    assert {tenant.physical for tenant in made} == placements(on_postgres)
    assert {state for _, state in journal(on_postgres)} == {"done"}
