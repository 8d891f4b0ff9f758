"""The five systems, each on a database of its own: opened, filled with sample rows, and put together to be served."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from tenantry import Tenancy
from tenantry.access import Roles, TokenKey, Tokens
from tenantry.cli.demo.serving import Caller, Served
from tenantry.cli.demo.world import installed
from tenantry.embedded import PostgresServer
from tenantry.packs import assistant, documents, helpdesk, incidents, meetings
from tenantry.packs.assistant import samples as assistant_samples
from tenantry.packs.documents import samples as documents_samples
from tenantry.packs.incidents import samples as incidents_samples
from tenantry.packs.meetings import samples as meetings_samples
from tenantry.samples import Sample, load_all
from tenantry.web import application, from_header

ISSUER: Final = "https://demo.tenantry.example"
# A token of the demo's dies with its key, which nobody has after it.
LIFETIME: Final = timedelta(hours=12)
# May name the tenant beside the token, and has to mean the same.
HEADER: Final = "X-Tenant"
ROLES: Final = ("admin", "viewer")
_USERS: Final = {"admin": "ann", "viewer": "vic"}
# So many tenants of each system get tokens printed.
_SHOWN: Final = 2

Told = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class System:
    """One of the packs: how it is made of a tenancy, what it is filled with, who may call it."""

    name: str
    title: str
    models: Any
    make: Callable[[Tenancy], Any]
    generated: Callable[..., list[Sample]]
    read: Callable[[Path], list[Sample]]
    serve: Callable[[Any, Sequence[str]], Served]
    prepare: Callable[[Any], object] = lambda _: None

    def samples(self, data: Path | None, *, rows: int) -> list[Sample]:
        """Returns the tenants to load: real ones where there are any, else made-up ones with so many rows."""
        return (self.read(data) if data else []) or self.generated(tenants=3, rows=rows)


@dataclass(frozen=True, slots=True)
class Filled:
    """A system that is ready to be served: how many tenants and rows were loaded, and what serves it."""

    title: str
    tenants: int
    rows: int
    served: Served


@contextlib.contextmanager
def opened(
    system: System, server: PostgresServer, samples: Sequence[Sample], *, told: Told = lambda _: None
) -> Iterator[Filled]:
    """Lends a system installed in a database of its own, with its samples in it."""
    with installed(server, system.name, system.models, system.make, logins=f"demo_{system.name}") as (tenancy, pack):
        system.prepare(pack)
        rows = load_all(tenancy, samples, told=told)
        served = system.serve(pack, [sample.slug for sample in samples])
        yield Filled(system.title, len(samples), rows, served)


def serve_helpdesk(pack: helpdesk.Helpdesk, slugs: Sequence[str]) -> Served:
    """Returns the helpdesk's API for some of its tenants."""
    return _served("helpdesk", "Helpdesk", pack, helpdesk.router(pack), helpdesk.DESK_ROLES, slugs)


def _served(name: str, title: str, pack: Any, router: Any, roles: Roles, slugs: Sequence[str]) -> Served:
    key = TokenKey("demo", secrets.token_bytes(32))
    tokens = Tokens([key], issuer=ISSUER, audience=name, roles=roles, lifetime=LIFETIME)
    callers = [
        Caller(slug, f"{_USERS[role]}@{slug}", role, _token(tokens, pack.tenancy, slug, role))
        for slug in slugs[:_SHOWN]
        for role in ROLES
    ]
    app = application(pack.tenancy, [router], tokens=tokens, title=title, resolvers=[from_header(HEADER)])
    return Served(name, title, app, callers, pack.tenancy.aio.close)


def _token(tokens: Tokens, tenancy: Tenancy, slug: str, role: str) -> str:
    return tokens.issue(f"{_USERS[role]}@{slug}", tenant=tenancy.tenants.get(slug).id, roles=[role])


def _serve_assistant(pack: assistant.Assistant, slugs: Sequence[str]) -> Served:
    """Returns the assistant's API; its users log in, and their passwords are made now."""
    pack.prepare({"TENANTRY_ADMIN_NAME": "root", "TENANTRY_ADMIN_PASSWORD": secrets.token_urlsafe(16)})
    callers = [_logged_in(pack, slug, role) for slug in slugs[:_SHOWN] for role in ROLES]
    access = pack.access
    app = application(
        pack.tenancy,
        [assistant.router(pack)],
        tokens=access.tokens,
        access=access,
        title="Assistant",
        resolvers=[from_header(HEADER)],
        public=assistant.PUBLIC,
    )
    return Served("assistant", "Assistant", app, callers, pack.tenancy.aio.close)


def _logged_in(pack: assistant.Assistant, slug: str, role: str) -> Caller:
    number, password = int(slug.rpartition("-")[2]), secrets.token_urlsafe(16)
    name = f"{_USERS[role]}{number}"
    email = f"{name}@{slug}.example"
    pack.on_platform(
        lambda session: pack.users.create(session, name, email=email, password=password, role=role, company_id=number)
    )
    return Caller(slug, f"{name} (password {password})", role, pack.log_in(name, password).access)


OTHERS: Final = (
    System(
        "meetings",
        "Meetings",
        meetings.MeetingsBase,
        meetings.Meetings,
        meetings_samples.generated,
        meetings_samples.read,
        lambda pack, slugs: _served("meetings", "Meetings", pack, meetings.router(pack), meetings.ROLES, slugs),
    ),
    System(
        "documents",
        "Documents",
        documents.DocumentsBase,
        documents.Documents,
        documents_samples.generated,
        documents_samples.read,
        lambda pack, slugs: _served("documents", "Documents", pack, documents.router(pack), documents.ROLES, slugs),
    ),
    System(
        "assistant",
        "Assistant",
        assistant.AssistantBase,
        assistant.Assistant,
        assistant_samples.generated,
        assistant_samples.read,
        _serve_assistant,
    ),
    System(
        "incidents",
        "Incidents",
        incidents.IncidentsBase,
        incidents.Incidents,
        incidents_samples.generated,
        incidents_samples.read,
        lambda pack, slugs: _served("incidents", "Incidents", pack, incidents.router(pack), incidents.ROLES, slugs),
        prepare=lambda pack: pack.prepare(),
    ),
)
