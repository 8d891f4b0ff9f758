"""Databases by name in a request or job: what another set is not meant, and no name leads out of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from sqlalchemy import select
from web.serving import request, serving

from tenantry import Tenancy
from tenantry.access import Passwords
from tenantry.errors import TenantsDisagree
from tenantry.jobs import Jobs
from tenantry.packs.assistant import (
    PUBLIC,
    Assistant,
    AssistantBase,
    Document,
    door,
    get_db_session,
    router,
    set_database_context,
    use,
)
from tenantry.web import application

PASSWORD = uuid.uuid4().hex
own = APIRouter()


def _shown(name: str | None) -> list[str]:
    with get_db_session(name) as db:
        return [row.filename for row in db.scalars(select(Document))]


@own.get("/named/{name}")
async def named(name: str) -> list[str]:
    set_database_context(name)
    # Nobody clears it.
    return _shown(None)


@own.get("/meant")
async def meant() -> list[str]:
    return _shown(None)


@own.get("/of/{name}")
async def of(name: str) -> list[str]:
    return _shown(name)


@own.get("/hook/{name}")
async def hook(name: str) -> list[str]:
    return _shown(name)


class Served:
    """Companies 1 and 2, with a document each, served to a user of each, to a super admin, and to nobody."""

    def __init__(self, directory: Path) -> None:
        self.tenancy = Tenancy(f"sqlite:///{directory}", models=AssistantBase)
        self.pack = Assistant(self.tenancy, passwords=Passwords(time_cost=1, memory_cost=8, parallelism=1))
        self.tenancy.install(create_tables=True)
        self.pack.prepare({"TENANTRY_ADMIN_NAME": "root", "TENANTRY_ADMIN_PASSWORD": PASSWORD})
        for number in (1, 2):
            self.pack.companies.create(f"Company {number}")
            told = {"email": f"ann{number}@x.example", "password": PASSWORD, "role": "admin", "company_id": number}
            self._add(f"ann{number}", told)
            with self.tenancy.transaction(("company", str(number))) as db:
                db.add(Document(filename=f"of {number}", original_filename="x", file_path="x", scope="company"))
        access = self.pack.access
        options: Any = {"tokens": access.tokens, "access": access, "public": [*PUBLIC, "/hook/company_2"]}
        self.app = application(self.tenancy, [router(self.pack), own], title="Assistant", **options)
        self.tokens = {name: self.pack.log_in(name, PASSWORD).access for name in ("ann1", "ann2", "root")}

    def _add(self, name: str, told: dict[str, Any]) -> None:
        self.pack.on_platform(lambda db: self.pack.users.create(db, name, **told))

    def headers(self, who: str | None) -> dict[str, str]:
        return {} if who is None else {"authorization": f"Bearer {self.tokens[who]}"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(tmp_path_factory.mktemp("requests"))
    use(found.pack)
    yield found
    door.reset()
    found.tenancy.close()


@pytest.mark.ledger("S3-002")
def test_what_a_request_set_is_not_meant_in_the_next(served: Served) -> None:
    asked = (("/named/company_1", "ann1"), ("/meant", "ann2"), ("/meant", "ann1"))
    with serving(served.app) as server:
        # In one breath on one connection: each request begins with the variables of the one before it.
        found = server.ask(*(request("GET", path, **served.headers(who)) for path, who in asked))
    assert [answer.json() for answer in found] == [["of 1"], ["of 2"], ["of 1"]]


@pytest.mark.ledger("S3-051", "S3-004")
def test_no_name_leads_out_of_the_request(served: Served) -> None:
    with TestClient(served.app) as http:

        def ask(path: str, who: str | None) -> Any:
            return http.get(path, headers=served.headers(who))

        assert ask("/of/company_2", "ann2").json() == ["of 2"]
        for path in ("/of/company_2", "/named/company_2"):
            missing = path.replace("_2", "_99")
            for who in ("ann1", "root"):
                refused = ask(path, who)
                assert (refused.status_code, refused.content) == (403, ask(missing, who).content)
        # Who is nobody's is what the route says, which has its own way to know.
        assert ask("/hook/company_2", None).json() == ["of 2"]
        looked = {"reason": "ticket 4711"}
        token = http.post("/admin/companies/2/look", headers=served.headers("root"), json=looked).json()["access_token"]
        for path, status in (("/of/company_2", 200), ("/of/company_1", 403)):
            assert http.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == status


@pytest.mark.ledger("S3-002", "S3-051")
def test_what_a_job_set_is_not_meant_in_the_next(served: Served) -> None:
    jobs = Jobs(served.tenancy)

    def careless(number: int) -> list[str]:
        set_database_context(f"company_{number}")
        return _shown(None)

    setting, reading = jobs.task(careless), jobs.task(_shown)
    with ThreadPoolExecutor(max_workers=1) as pool:
        with jobs.sending(("company", "1")):
            assert pool.submit(setting.carry(), 1).result() == ["of 1"]
        with jobs.sending(("company", "2")):
            assert pool.submit(reading.carry(), None).result() == ["of 2"]
            for name in ("company_1", "company_99"):
                with pytest.raises(TenantsDisagree):
                    pool.submit(reading.carry(), name).result()
        # Whoever sets a name outside of requests and jobs keeps it.
        assert pool.submit(careless, 1).result() == pool.submit(_shown, None).result() == ["of 1"]


@pytest.mark.ledger("S3-003")
def test_another_companys_user_is_nobody_whoever_made_the_token(served: Served) -> None:
    access = served.pack.access
    app = application(served.tenancy, [router(served.pack)], tokens=access.tokens, title="Assistant")
    near, far = (served.pack.companies.get(number).tenant for number in (1, 2))
    assert near is not None
    assert far is not None
    with TestClient(app) as http:
        for tenant, subject, status in ((far, "ann2", 200), (near, "ann2", 404), (near, "nobody", 404)):
            token = access.tokens.issue(subject, tenant=tenant.id, roles=["admin"])
            headers = {"Authorization": f"Bearer {token}"}
            found = [http.get("/me", headers=headers), http.patch("/me", headers=headers, json={})]
            assert [answer.status_code for answer in found] == [status, status]
