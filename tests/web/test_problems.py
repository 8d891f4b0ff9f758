"""What a client is told: each error has one answer, in fixed words, and absence looks the same whatever the reason."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cells import CELLS, Ground, Place
from sqlalchemy import exc, text
from sqlalchemy.orm.exc import StaleDataError

from tenantry import errors
from tenantry.types import TenantStatus
from tenantry.web import problem_of

from .conftest import DRIVERS, subjects
from .models import Ticket
from .serving import Server
from .tokens import Signed

STATUSES = {401, 403, 404, 409, 422, 423, 429, 503}
SHOWN = {
    errors.TenantRequired(): 401,
    errors.TokenRefused(reason="of a secret."): 401,
    errors.TokenExpired(reason="of a secret."): 401,
    errors.LogInRefused(): 401,
    errors.TenantsDisagree(): 403,
    errors.PermissionDenied(subject="ann", permission="a:b", reason="of a secret."): 403,
    errors.TenantNotFound(key="acme"): 404,
    errors.RecordNotFound(model="Ticket"): 404,
    errors.TenantExists(slug="acme"): 409,
    errors.IdempotencyInFlight(key="c0ffee", retry_after=0.2): 409,
    errors.IdempotencyConflict(key="c0ffee"): 422,
    errors.CrossTenant(model="Ticket", tenant=uuid.UUID(int=1)): 422,
    errors.InvalidSlug(reason="of a secret."): 422,
    errors.UnknownField(model="Ticket", name="salary", use="sorted", known="id, subject"): 422,
    errors.TenantSuspended(tenant=uuid.UUID(int=1)): 423,
    errors.KillSwitchActive(what="The CRM", reason="it sends rubbish.", workflow=None, retry_after=None): 423,
    errors.RateLimited(resource="api", limit=1, retry_after=2.5): 429,
    errors.QuotaExceeded(quota="seats", used=1, limit=1, asked=1): 429,
    errors.TenantMoved(tenant=uuid.UUID(int=1)): 503,
    errors.TenantMoving(tenant=uuid.UUID(int=1), retry_after=3.0): 503,
    errors.OutcomeUnknown(action="a commit"): 503,
    exc.NoResultFound(): 404,
    StaleDataError(): 409,
    exc.TimeoutError(): 503,
}
MISTAKES = [
    errors.ConfigurationError(what="x", fix="y"),
    errors.SessionInUse(),
    errors.ContextLost(tenant=uuid.UUID(int=1)),
    exc.InvalidRequestError("x"),
    exc.ProgrammingError("select", {}, Exception("x")),
    ZeroDivisionError(),
]


@pytest.mark.parametrize("error", SHOWN, ids=lambda error: type(error).__name__)
def test_an_error_has_its_status_and_tells_nothing_of_itself(error: Exception) -> None:
    problem = problem_of(error)
    assert problem is not None
    assert problem.status == SHOWN[error]
    told = json.loads(problem.body())
    assert set(told) == {"type", "title", "status", "code", "detail"}
    secrets = [value for value in getattr(error, "fields", {}).values() if isinstance(value, str | uuid.UUID)]
    assert not any(str(value) in problem.body().decode() for value in secrets)


@pytest.mark.parametrize("error", MISTAKES, ids=lambda error: type(error).__name__)
def test_a_mistake_of_the_program_is_no_problem_of_the_client(error: Exception) -> None:
    assert problem_of(error) is None


def test_every_problem_has_one_of_the_promised_statuses() -> None:
    made = [kind.__new__(kind) for kind in vars(errors).values() if isinstance(kind, type)]
    problems = [problem for error in made if (problem := problem_of(error))]
    assert {problem.status for problem in problems} == STATUSES
    assert len({problem.code for problem in problems}) >= 15
    assert all(len({other.detail for other in problems if other.code == each.code}) == 1 for each in problems)


def test_waiting_is_said_in_whole_seconds() -> None:
    told = {
        seconds: dict(problem_of(errors.RateLimited(resource="api", limit=1, retry_after=seconds)).headers())
        for seconds in (0.0, 2.5, 60)
    }
    assert {seconds: headers["Retry-After"] for seconds, headers in told.items()} == {
        0.0: "1",
        2.5: "3",
        60: "60",
    }
    assert "Retry-After" in dict(problem_of(errors.TenantMoved(tenant=uuid.UUID(int=1))).headers())
    assert "Retry-After" not in dict(problem_of(errors.OutcomeUnknown(action="a commit")).headers())


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (TenantStatus.PROVISIONING, 503),
        (TenantStatus.ERASING, 404),
        (TenantStatus.ERASED, 404),
    ],
)
def test_a_tenant_that_is_not_there_yet_or_any_more(status: TenantStatus, code: int) -> None:
    problem = problem_of(errors.TenantUnavailable(tenant=uuid.UUID(int=1), status=status, next_step="."))
    assert problem.status == code


@pytest.mark.parametrize("path", ["/tickets/{}", "/raw/{}"])
def test_a_foreign_row_and_a_missing_row_are_the_same_bytes(
    place: Place, shop: Server, ground: Ground, path: str
) -> None:
    with ground.session(Place(place.cell, "sync"), "far") as door:
        foreign = door.session.query(Ticket).first().id
    asked = [path.format(row) for row in (foreign, uuid.uuid4(), uuid.uuid4())]
    answers = [shop.get(each, x_tenant=f"near-{place.cell}", x_request_id="same") for each in asked]
    assert shop.get(asked[0], x_tenant=f"far-{place.cell}").status == 200
    assert {answer.status for answer in answers} == {404}
    assert len({answer.body for answer in answers}) == 1
    assert [{**answer.headers, "date": ""} for answer in answers] == [{**answers[0].headers, "date": ""}] * 3


def test_an_unknown_tenant_and_a_malformed_key_are_the_same_bytes(place: Place, shop: Server) -> None:
    keys = [
        "nobody",
        str(uuid.uuid4()),
        "No Slug",
        "",
        "x" * 300,
        "'; drop table tickets; --",
    ]
    answers = [shop.get("/who", x_tenant=key) for key in keys]
    assert {(answer.status, answer.body) for answer in answers} == {(404, answers[0].body)}


@pytest.mark.parametrize("place", DRIVERS, ids=str)
@pytest.mark.parametrize("subject", ["nul \0 in it", "\ud800"], ids=["nul", "surrogate"])
@pytest.mark.parametrize("path", ["/tickets", "/late/sync"])
def test_text_that_cannot_be_kept_is_the_clients_fault(place: Place, shop: Server, path: str, subject: str) -> None:
    answer = shop.post(path, {"subject": f"{path} {subject}"}, x_tenant=f"near-{place.cell}")
    # SQLite keeps a NUL.
    assert answer.status == (201 if "\0" in subject and not place.postgresql else 422)


def test_a_number_that_is_too_large_is_the_clients_fault(place: Place, shop: Server, ground: Ground) -> None:
    content = {"subject": uuid.uuid4().hex, "stars": 10**30}
    answer = shop.post("/tickets", content, x_tenant=f"near-{place.cell}")
    assert (answer.status, answer.json()["code"]) == (422, "invalid")
    assert content["subject"] not in subjects(ground, place)


@pytest.mark.parametrize("cell", CELLS)
def test_faults_of_the_database_go_by_their_codes(ground: Ground, cell: str) -> None:
    def fault(statement: Any, **parameters: Any) -> int | None:
        with ground.session(Place(cell, "sync")) as door:
            try:
                door.session.execute(statement, parameters)
                door.commit()
            except exc.SQLAlchemyError as error:
                found = problem_of(error)
                return found.status if found else None
        raise AssertionError("nothing was wrong")

    insert = Ticket.__table__.insert()
    with ground.session(Place(cell, "sync")) as door:
        own = {"tenant_id": door.session.tenant.id, "stars": 0}
    assert fault(insert, **own, id=uuid.uuid4(), subject=f"near-{cell}") == 409
    assert fault(insert, **own, id=uuid.uuid4(), subject="orphan", parent_id=uuid.uuid4()) == 409
    assert fault(insert, **own, id=uuid.uuid4(), subject=None) == 422
    assert fault(text("select nonsense")) is None


def test_a_suspended_tenant_is_locked(serve: Callable[..., Server], ground: Ground) -> None:
    server, tenancy = serve("aiosqlite"), ground.tenancy(Place("sqlite-file", "sync"))
    tenant = tenancy.tenants.create("late-payer")
    tenancy.tenants.suspend(tenant)
    told = server.get("/who", x_tenant="late-payer")
    assert (told.status, told.json()["code"]) == (423, "tenant_suspended")
    assert server.get("/who", x_tenant="late-payer", host="near-sqlite-file.example.com").status == 403


def test_errors_of_routes_are_answered_and_bugs_are_not(
    serve: Callable[..., Server],
) -> None:
    server = serve("aiosqlite")
    stopped = server.post("/stopped")
    assert (stopped.status, stopped.headers["retry-after"]) == (423, "8")
    assert stopped.headers["content-type"] == "application/problem+json"
    assert server.post("/missing").status == 404
    assert server.get("/bug").status == 500
    unauthorized = server.get("/who")
    assert (unauthorized.status, unauthorized.headers["www-authenticate"]) == (
        401,
        "Bearer",
    )


def test_a_correlation_id_is_kept_or_made(serve: Callable[..., Server], tokens: Signed) -> None:
    server, near = serve("aiosqlite"), {"x_tenant": "near-sqlite-file"}
    kept = server.get("/who", **near, x_request_id="trace-4711")
    assert (kept.headers["x-request-id"], kept.json()["correlation_id"]) == (
        "trace-4711",
        "trace-4711",
    )
    for bad in ("", "two words", "x" * 129, "<script>"):
        made = server.get("/who", **near, x_request_id=bad)
        assert made.headers["x-request-id"] not in ("", bad)
        assert made.headers["x-request-id"] == made.json()["correlation_id"]
    assert server.get("/who").headers["x-request-id"]


def test_the_audit_knows_who_asked(place: Place, shop: Server, ground: Ground, tokens: Signed) -> None:
    token = tokens.issue("ann", f"near-{place.cell}", impersonator="root")
    trace = uuid.uuid4().hex
    answer = shop.post("/audited", authorization=f"Bearer {token}", x_request_id=trace)
    assert answer.status == 200
    with ground.session(Place(place.cell, "sync")) as door:
        audit = ground.made(Place(place.cell, "sync")).audit
        (entry,) = [each for each in audit.entries(door.session) if each.correlation_id == trace]
    assert (entry.actor, entry.impersonator) == ("ann", "root")


def test_what_is_answered_by_503_is_logged_by_name(
    serve: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "tenantry.web"):
        assert serve("aiosqlite").post("/moving", x_request_id="trace-1").status == 503
    assert [record.getMessage() for record in caplog.records] == ["TenantMoving answered with 503 (request trace-1)"]


def test_a_request_of_the_wrong_form_is_answered_without_its_values(
    serve: Callable[..., Server],
) -> None:
    server = serve("aiosqlite")
    for content in (
        {"subject": 1e400},
        {"subject": "\ud800", "stars": "secret-value"},
        ["secret-value"],
        "\ud800",
    ):
        answer = server.post("/tickets", content, x_tenant="near-sqlite-file")
        assert (answer.status, answer.headers["content-type"]) == (
            422,
            "application/problem+json",
        )
        assert {"loc", "type", "msg"} == set(answer.json()["errors"][0])
        assert b"secret-value" not in answer.body
