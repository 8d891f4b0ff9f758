"""What the doctor says of a tenant that is moved, has moved, or left something where no move knows of it."""

from __future__ import annotations

import pytest

from tenantry.doctor import Report, examine
from tenantry.events import Step, listen
from tenantry.ids import physical_name

from .grounds import PLACES, Ground


def told(ground: Ground, slug: str) -> tuple[Report, list[str]]:
    """Returns the doctor's report and what it notices of one tenant."""
    report = examine(ground.tenancy)
    return report, [notice.message for notice in report.notices if (notice.code, notice.object) == ("N604", slug)]


@pytest.mark.parametrize(("here", "there"), [("rows", "schema"), ("file", "common file")])
def test_a_tenant_with_two_places_is_well_and_noticed(ground: Ground, here: str, there: str) -> None:
    slug = ground.settle(f"judged-{here}", here)
    server, isolation = PLACES[there]
    ground.move.start(slug, server=server, isolation=isolation)
    report, noticed = told(ground, slug)
    assert report.findings == ()
    assert noticed == ["The tenant has moved, and its old place is still kept."]
    ground.move.finalize(slug)
    report, noticed = told(ground, slug)
    assert (report.findings, noticed) == ((), [])


def test_a_move_that_stopped_is_noticed_and_a_place_that_nobody_knows_is_found(ground: Ground) -> None:
    slug = ground.settle("judged-stopped", "rows")
    name = physical_name(ground.tenancy.tenants.get(slug).id)

    def stop(step: Step) -> None:
        if step.name == "fence":
            raise KeyboardInterrupt

    forget = listen(stop)
    with pytest.raises(KeyboardInterrupt):
        ground.move.start(slug, isolation="schema")
    forget()
    report, noticed = told(ground, slug)
    assert report.findings == ()
    assert noticed == ["A move of the tenant stopped at step fence."]
    ground.move.rollback(slug)
    with ground.postgres.admin(ground.main) as connection:
        connection.execute(f"create schema {name}")
    report, noticed = told(ground, slug)
    with ground.postgres.admin(ground.main) as connection:
        connection.execute(f"drop schema {name}")
    assert noticed == []
    assert [finding.code for finding in report.findings] == ["D601"]
