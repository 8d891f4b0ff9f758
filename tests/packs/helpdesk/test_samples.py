"""Sample companies: the same each time, brought in whole and only once."""

from __future__ import annotations

import gzip
from pathlib import Path

from sqlalchemy import func, select

from tenantry import Tenancy
from tenantry.packs.helpdesk import (
    Article,
    Company,
    Conversation,
    HelpdeskBase,
    Ticket,
    company_key,
    samples,
    samples_logs,
)
from tenantry.samples import Sample, load


def summary(sample: Sample) -> list[tuple[str, list[object]]]:
    return [(model.__name__, [sorted(map(str, row.values())) for row in rows]) for model, rows in sample.rows.items()]


def test_made_companies_are_the_same_each_time() -> None:
    first, again = (samples.generated(tenants=14, rows=60) for _ in range(2))
    assert [summary(sample) for sample in first] == [summary(sample) for sample in again]
    assert len({sample.slug for sample in first}) == 14
    assert len({sample.identities[0] for sample in first}) == 14
    assert all(40 <= sample.size <= 400 for sample in first)


def test_they_are_brought_in_once(tmp_path: Path) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=HelpdeskBase)
    tenancy.install(create_tables=True)
    for sample in samples.generated(tenants=2, rows=60):
        told: list[int] = []
        assert load(tenancy, sample, told=told.append) == sum(told) == sample.size
        assert load(tenancy, sample) == 0
        company = sample.record
        with tenancy.session(company_key(sample.slug, company["platform"])) as db:
            assert db.scalar(select(func.count()).select_from(Ticket)) == len(sample.rows[Ticket])
            assert db.scalars(select(Company)).one().name == sample.name
            assert db.scalars(select(Article).limit(1)).one().folder.name == "Questions and answers"
            assert {row.company_id for row in db.scalars(select(Conversation))} == {db.tenant.id}
    tenancy.close()


LOGS = {
    samples_logs.SOFTWARE: "case_name,concept_name,time_timestamp,org_resource\n"
    "Case 1,Assign seriousness,2012-10-09T14:50:17+00:00,Value 1\n"
    "Case 1,Closed,2012-10-10T14:51:01+00:00,Value 2\n",
    samples_logs.VOLVO: "case_name,concept_name,lifecycle_transition,time_timestamp,org_group,org_resource,"
    "resource_country,organization_involved,impact,product\n"
    "1-36,Accepted,Resolved,2010-03-31T16:59:42+02:00,V30,Ida,Sweden,Org line C,Major,PROD1\n",
    samples_logs.UBUNTU: "day,time,nick,text\n2004-11-15,12:18,ann,usual\n2018-01-01,00:01,ann,new year\n",
}


def test_logs_are_brought_in_once(tmp_path: Path) -> None:
    for name, text in LOGS.items():
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    tenancy = Tenancy(f"sqlite:///{tmp_path / 'desk'}", models=HelpdeskBase)
    tenancy.install(create_tables=True)
    read = [sample for sample in samples.read(tmp_path) if sample.size]
    assert [sample.slug for sample in read] == [
        "software-firm",
        "volvo-c-sweden",
        "ubuntu-2004-2006",
        "ubuntu-2011-2018",
    ]
    for sample in read:
        assert load(tenancy, sample) == sample.size
        assert load(tenancy, sample) == 0
    with tenancy.session(company_key("software-firm", "helpdesk")) as db:
        ticket = db.scalars(select(Ticket)).one()
        assert (ticket.status, ticket.agent.name, len(ticket.conversations)) == ("closed", "Value 2", 2)
    tenancy.close()
