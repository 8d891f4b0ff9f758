"""The assistant of one tenancy: what its parts stand on, made once, right after the tenancy."""

from __future__ import annotations

import contextlib
import functools
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy.orm import Session

from tenantry.access import Access, Claims, FirstAdministrator, Passwords, TokenKey, TokenPair, Tokens, act_as
from tenantry.access.core import looking
from tenantry.audit import Audit
from tenantry.packs.assistant.base import AssistantBase
from tenantry.packs.assistant.companies import Companies
from tenantry.packs.assistant.library import Library
from tenantry.packs.assistant.metering import PRICES, Meter
from tenantry.packs.assistant.models_primary import User
from tenantry.packs.assistant.permissions import MATRIX, seed_roles
from tenantry.packs.assistant.retrieval import Retrieval
from tenantry.packs.assistant.services import LOW_CONFIDENCE, Chats, Processing, Reports
from tenantry.packs.assistant.users import Person, Users, company_of, forget_people, people_called
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation
from tenantry.usage.prices import Prices
from tenantry.vectors import Vectors
from tenantry.vectors.protocols import Embedder

if TYPE_CHECKING:
    from tenantry.packs.assistant.aio_pack import AsyncAssistant

R = TypeVar("R")

# The pack's own Alembic history, for Config(migrations=...).
MIGRATIONS: Final = str(Path(__file__).parent / "migrations")
_QUARTER: Final = timedelta(minutes=15)


class Assistant:
    """The assistant's parts over one tenancy: who logs in, companies and their databases, documents, chats, reports.

    Without *tokens* they are signed with a key of this process alone. With an *embedder* chunks are found by what they
    mean. A model's call whose price *prices* does not name is recorded without a cost.

    Raises: as ``Tenancy.table``.
    """

    name: Final = "assistant"

    def __init__(
        self,
        tenancy: Tenancy,
        *,
        tokens: Tokens | None = None,
        passwords: Passwords | None = None,
        prices: Prices = PRICES,
        embedder: Embedder | None = None,
        isolation: Isolation = Isolation.DATABASE,
        low_confidence: float = LOW_CONFIDENCE,
    ) -> None:
        self.tenancy = tenancy
        self.audit = Audit(tenancy)
        self.users = Users(passwords)
        self.access = Access(
            tenancy,
            tokens=tokens or _own_tokens(),
            accounts=self.users,
            passwords=self.users.passwords,
            audit=self.audit.record,
        )
        self.companies = Companies(tenancy, isolation=isolation)
        self.library = Library(tenancy)
        self.meter = Meter(prices)
        self.processing = Processing(self.meter)
        self.chats = Chats(self.meter, low_confidence=low_confidence)
        self.reports = Reports(self.meter)
        self.retrieval = None if embedder is None else Retrieval(Vectors(tenancy, "document_chunk", embedder=embedder))

    def __repr__(self) -> str:
        return f"Assistant({self.tenancy!r})"

    @functools.cached_property
    def aio(self) -> AsyncAssistant:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.packs.assistant.aio_pack import AsyncAssistant  # noqa: PLC0415  # needs greenlet

        return AsyncAssistant(self)

    def prepare(self, environ: Mapping[str, str] | None = None) -> FirstAdministrator | None:
        """Writes roles, permissions, companies whose databases stand, and the first super admin, as far as they are not
        there; doing it again is safe, and then gives None.

        Raises: LoginRequired without the platform's login, PasswordRefused.
        """

        def work(session: Session) -> FirstAdministrator | None:
            seed_roles(session, MATRIX)
            return self.users.first_administrator(session, environ)

        self.companies.register()
        return self.on_platform(work)

    def log_in(self, username: str, password: str) -> TokenPair:
        """Returns the tokens of a new log-in, and keeps when it was.

        Raises: as ``Access.log_in``.
        """
        pair = self.access.log_in(username, password)
        self.on_platform(lambda session: self.users.note_login(session, username))
        return pair

    def person(self, claims: Claims) -> Person:
        """Returns which user asks.

        Raises: AccountUnknown.
        """
        return self.look(lambda session: self.users.asking(session, claims))

    def users_of(self, rows: Iterable[Any]) -> dict[int, User]:
        """Returns the users whom a company's rows name by ``user_id``, by their numbers: the rows are in one database
        and the users in another, so one statement fetches them all. Rows of several companies name nobody's users.

        Raises: LoginRequired without the platform's login.
        """
        given = [*rows]
        ids = {row.user_id for row in given if row.user_id is not None}
        # A row may say any company's number; whose it is says the wall.
        tenants = {row.tenant_id for row in given}

        def work(session: Session) -> dict[int, User]:
            company_id = company_of(session, tenants.pop()) if len(tenants) == 1 else None
            return self.users.by_ids(session, ids, company_id=company_id)

        return self.look(work)

    @contextlib.contextmanager
    def as_company(
        self, company_id: int, reason: str, *, actor: Claims, role: str = "viewer", lasts: timedelta = _QUARTER
    ) -> Iterator[TenantSession]:
        """Opens a session of a company for somebody of the platform, with what *role* may; it is on the company's
        record first, and the log-in that it takes ends with it.

        Raises: ImpersonationRefused, TokenRefused; TenantNotFound for a company that is not there.
        """
        token = self.access.impersonate(actor, self.companies.key(company_id), reason=reason, role=role, lasts=lasts)
        guise = self.access.verify(token)
        try:
            with self.tenancy.session(self.companies.key(company_id)) as session:
                act_as(session, guise)
                yield session
        finally:
            self.access.log_out(guise)

    def look(self, work: Callable[[Session], R]) -> R:
        """Returns what *work* reads in the primary database; no writer waits for it.

        Raises: LoginRequired without the platform's login, and whatever *work* raises.
        """
        with self.tenancy.platform() as session:
            return looking(session, work)

    def forget(self, tenant: uuid.UUID, subject: Collection[str] | None) -> int:
        """Removes from the primary a company with its users and their log-ins, or those of its users with these names,
        and returns how much that was: ``Erasing(archive, copies=[assistant])`` calls it.

        Raises: LoginRequired without the platform's login.
        """
        known = None if subject is None else self.look(lambda session: people_called(session, tenant, subject))
        # Log-ins first: they are known by the names of users who are there.
        ended = self.access.forget(tenant, known)
        return ended + self.on_platform(lambda session: forget_people(session, tenant, known))

    def on_platform(self, work: Callable[[Session], R]) -> R:
        """Returns what *work* gives in a transaction of the primary database.

        Raises: LoginRequired without the platform's login, and whatever *work* raises.
        """
        with self.tenancy.platform() as session:
            found = work(session)
            session.commit()
        return found


def _own_tokens(**options: Any) -> Tokens:
    return Tokens([TokenKey.new("own")], issuer="assistant", audience="assistant", **options)


def assistant_tenancy() -> Tenancy:
    """Returns the tenancy that the environment describes, with the assistant's tables and their history.

    Raises: ConfigurationError.
    """
    tenancy = Tenancy.from_env(AssistantBase)
    made(tenancy)
    return tenancy


def made(tenancy: Tenancy) -> Assistant:
    """Returns the assistant of a tenancy whose tables come from the pack's history, unless it has another."""
    tenancy.lend_migrations(MIGRATIONS)
    return Assistant(tenancy)
