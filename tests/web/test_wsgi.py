"""Flask and plain WSGI through the synchronous door, behind real sockets."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cells import CELLS, Ground, Place
from flask import Flask
from flask import request as asked
from sqlalchemy import select
from werkzeug.serving import WSGIRequestHandler, make_server

from tenantry import Tenancy
from tenantry.web import (
    WSGITenancyMiddleware,
    answer_errors,
    context_of,
    from_header,
    from_jwt,
    request_context,
    request_session,
)

from .conftest import subjects
from .models import Ticket
from .serving import SECONDS, Server
from .shop import Tickets
from .tokens import Signed


class Silent(WSGIRequestHandler):
    """Answers without a line on the terminal for each."""

    def log_request(self, *_: Any) -> None: ...


@contextmanager
def serving(app: Any) -> Iterator[Server]:
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Server(server.server_port)
    finally:
        server.shutdown()
        thread.join(SECONDS)
        server.server_close()


def flask_app(tenancy: Tenancy, tokens: Signed) -> Flask:
    app = Flask("shop")
    answer_errors(app)
    resolvers = [from_header("X-Tenant"), from_jwt(tokens, required=False)]
    app.wsgi_app = WSGITenancyMiddleware(app.wsgi_app, tenancy, resolvers=resolvers)

    @app.get("/tickets")
    def read() -> dict[str, Any]:
        context = context_of(asked.environ)
        with request_session(tenancy, context, read_only=True) as db:
            found = list(db.scalars(select(Ticket.subject)))
        ambient = request_context()
        return {
            "slug": context.tenant.slug,
            "ambient": ambient.tenant.slug,
            "subjects": found,
            "info": db.info["actor"],
        }

    @app.post("/tickets")
    def create() -> tuple[str, int]:
        with request_session(tenancy, context_of(asked.environ)) as db:
            db.add(Ticket(**asked.get_json()))
            db.commit()
        return "made", 201

    @app.get("/tickets/<uuid:ticket>")
    def find(ticket: uuid.UUID) -> str:
        with request_session(tenancy, context_of(asked.environ)) as db:
            return Tickets(db).get_one(ticket).subject

    @app.get("/bug")
    def bug() -> str:
        raise ZeroDivisionError

    return app


@pytest.mark.parametrize("cell", CELLS)
def test_flask_through_the_sync_door(ground: Ground, tokens: Signed, cell: str) -> None:
    place = Place(cell, "sync")
    near, far = f"near-{cell}", f"far-{cell}"
    with serving(flask_app(ground.tenancy(place), tokens)) as server:
        bearer = f"Bearer {tokens.issue('ann', near)}"
        read = server.get("/tickets", authorization=bearer, x_request_id="trace-1")
        told = read.json()
        assert (
            told["slug"],
            told["ambient"],
            told["info"],
            read.headers["x-request-id"],
        ) == (
            near,
            near,
            "ann",
            "trace-1",
        )
        assert (read.headers["cache-control"], read.headers["vary"]) == ("private", "X-Tenant, Authorization")
        assert near in told["subjects"]
        assert far not in told["subjects"]
        subject = uuid.uuid4().hex
        assert server.post("/tickets", {"subject": subject}, x_tenant=near).status == 201
        again = server.post("/tickets", {"subject": subject}, x_tenant=near)
        assert (again.status, again.headers["content-type"]) == (
            409,
            "application/problem+json",
        )
        assert subjects(ground, place).count(subject) == 1
        with ground.session(place, "far") as door:
            foreign = door.session.scalars(select(Ticket.id)).first()
        absent = [server.get(f"/tickets/{row}", x_tenant=near) for row in (foreign, uuid.uuid4())]
        assert {(answer.status, answer.body) for answer in absent} == {(404, absent[0].body)}
        refused = {
            "none": server.get("/tickets"),
            "unknown": server.get("/tickets", x_tenant="nobody"),
            "two": server.get("/tickets", authorization=bearer, x_tenant=far),
            "bug": server.get("/bug", x_tenant=near),
        }
        statuses = {name: answer.status for name, answer in refused.items()}
        assert statuses == {"none": 401, "unknown": 404, "two": 403, "bug": 500}


def test_a_plain_application_is_answered_for(ground: Ground, tokens: Signed) -> None:
    tenancy = ground.tenancy(Place("sqlite-file", "sync"))

    def plain(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        slug = context_of(environ).tenant.slug.encode()
        start("200 OK", [("Content-Length", str(len(slug) + 1))])
        return iter([slug, b"\n" if request_context() else b"?"])

    app = WSGITenancyMiddleware(plain, tenancy, resolvers=[from_header("X-Tenant")])
    with serving(app) as server:
        assert server.get("/", x_tenant="near-sqlite-file").body == b"near-sqlite-file\n"
        refused = server.get("/")
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    # After an answer its thread serves nobody.
    body = app({"HTTP_X_TENANT": "near-sqlite-file"}, lambda *_: None)
    assert request_context()
    assert b"".join(body) == b"near-sqlite-file\n"
    body.close()
    assert request_context() is None
