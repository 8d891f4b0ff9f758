"""The audit of a tenancy: what was done, by whom, in a chain per tenant that shows every later change."""

from __future__ import annotations

import contextlib
import datetime
import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, inspect
from sqlalchemy.orm import Mapper

from tenantry.audit import querying, verifying
from tenantry.audit.anchors import Anchor, AnchorStore
from tenantry.audit.digests import Keys
from tenantry.audit.entries import OWN_CATEGORY, SUCCESS, Entry, Resource, declare
from tenantry.audit.keeping import Lost
from tenantry.audit.querying import Filters
from tenantry.audit.recorder import Recorder
from tenantry.audit.redacting import Redactor
from tenantry.audit.restoring import know
from tenantry.audit.retaining import Purged, purge, redact
from tenantry.audit.watching import watch, watch_model
from tenantry.errors import AuditRefused, ConfigurationError, CrossTenant
from tenantry.isolation.sqlite import SqliteServer
from tenantry.models import is_walled
from tenantry.session.clock import moment
from tenantry.session.core import TenantSession
from tenantry.types import Finding, TenantKey

if TYPE_CHECKING:
    from tenantry.audit.aio import AsyncAudit
    from tenantry.tenancy import Tenancy

TWO_YEARS = datetime.timedelta(days=730)


class Audit:
    """Records what is done for each tenant, in the transaction that does it, and proves that nothing was altered.

    *keys* sign the entries, by name, the last one given; *anchors* keeps the chain's state outside the database every
    *anchor_every* entries; *redactor* takes addresses out of texts. *lost* is told of each entry that had to outlive
    its transaction and could not be written; it is logged as an error in any case.

    Raises: ConfigurationError after the tenancy has opened a connection.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        *,
        table: str = "audit_log",
        heads: str = "audit_heads",
        keys: Mapping[str, bytes] | None = None,
        anchors: AnchorStore | None = None,
        anchor_every: int = 1000,
        redactor: Redactor | None = None,
        lost: Lost | None = None,
        most_captured: int = 10_000,
    ) -> None:
        self.tenancy = tenancy
        self.recorder = Recorder(
            declare(tenancy, table, heads),
            Keys(keys),
            redactor or Redactor(),
            anchors=anchors,
            anchor_every=anchor_every,
            lost=lost,
            most=most_captured,
        )
        know(self)

    def __repr__(self) -> str:
        return f"Audit({self.recorder.tables.entries.name!r})"

    @functools.cached_property
    def aio(self) -> AsyncAudit:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.audit.aio import AsyncAudit  # noqa: PLC0415  # needs greenlet, which not every installation has

        return AsyncAudit(self)

    def record(
        self,
        session: TenantSession,
        /,
        *,
        event_type: str,
        category: str,
        description: str,
        status: str = SUCCESS,
        resource: Resource | None = None,
        changes: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        actor: object = None,
        impersonator: object = None,
        correlation_id: object = None,
        kept: bool | None = None,
    ) -> None:
        """Records one event with the session's transaction: it is sealed into the chain at the commit.

        One that is *kept*, as any is whose status is not "success", is written by itself if that transaction, or the
        savepoint, rolls back. Who did it is taken from ``session.info`` where it is not said.

        Raises: AuditRefused for an event of the audit's own kinds or without a type, ConfigurationError for a session
            of another tenancy.
        """
        if event_type.startswith(f"{OWN_CATEGORY}."):
            raise AuditRefused(reason=f"{event_type!r} is what the audit says of itself. Use another event_type.")
        self._checked(session).record(
            session,
            kept=status != SUCCESS if kept is None else kept,
            event_type=event_type,
            category=category,
            description=description,
            status=status,
            resource=resource,
            changes=changes,
            details=details,
            who={"actor": actor, "impersonator": impersonator, "correlation_id": correlation_id},
        )

    @contextlib.contextmanager
    def action(self, session: TenantSession, /, **event: Any) -> Iterator[dict[str, Any]]:
        """Records what is done inside: as a success with the transaction, or, when it raises, as a kept failure.

        Gives a dict, into which details can be put; *event* is what ``record`` takes.

        Raises: as ``record``, and whatever is raised inside.
        """
        details: dict[str, Any] = dict(event.pop("details", None) or {})
        try:
            yield details
        except BaseException as error:
            failed = {**details, "error": type(error).__name__, "message": str(error)}
            self.record(session, **{**event, "status": "failure", "details": failed})
            raise
        self.record(session, **event, details=details or None)

    def capture(
        self,
        *models: type[Any],
        redact: Collection[str] = (),
        exclude: Collection[str] = (),
        category: str = "data",
    ) -> None:
        """Records every insert, update and delete of these models' rows by sessions, with the values before and after.

        Columns in *redact*, and those whose names or marks say that they hold a secret, are masked; those in *exclude*
        are left out. Bulk updates and deletes are recorded row by row; what cannot be is refused with CaptureRefused.

        Raises: ConfigurationError for a class that is not a tenant's, or names that are none of its columns.
        """
        for model in models:
            mapper: Mapper[Any] = inspect(model)
            if not is_walled(mapper.local_table):  # type: ignore[arg-type]  # a Table wherever it is walled
                raise ConfigurationError(
                    what=f"{model.__name__} is not a tenant's, so no tenant's audit can hold its changes.",
                    fix="Capture classes that are TenantOwned or TenantRecord.",
                )
            if unknown := {*redact, *exclude} - set(mapper.column_attrs.keys()):
                raise ConfigurationError(
                    what=f"{model.__name__} has no column {', '.join(sorted(unknown))}.",
                    fix="Name attributes that are columns.",
                )
            self.recorder.capture(mapper, redact=redact, exclude=exclude, category=category)
            watch_model(model)
        watch(self.tenancy, self.recorder)

    def entries(
        self,
        session: TenantSession,
        /,
        *,
        event_type: str | None = None,
        category: str | None = None,
        status: str | None = None,
        failed: bool = False,
        resource: Resource | None = None,
        actor: object = None,
        correlation_id: object = None,
        since: datetime.datetime | ColumnElement[datetime.datetime] | None = None,
        until: datetime.datetime | None = None,
        after: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[Entry]:
        """Returns the tenant's entries, those of this transaction included; *after* is the last ``seq`` seen.

        Reading seals what the transaction has recorded so far, and so holds the end of the chain until it ends.
        """
        self._checked(session).pending(session).seal()
        filters = Filters(
            event_type, category, status, failed, resource, actor, correlation_id, since, until, after, newest_first
        )
        return querying.entries(session, self.recorder.tables, filters, limit=limit)

    def log_event(
        self,
        session: TenantSession,
        *,
        tenant_id: object = None,
        user_id: object = None,
        event_type: str,
        event_category: str,
        action_description: str,
        status: str = SUCCESS,
        resource_type: str | None = None,
        resource_id: object = None,
        ip_address: str | None = None,
        user_agent: str | None = None,
        error_message: str | None = None,
        changes: Mapping[str, Any] | None = None,
        correlation_id: object = None,
    ) -> None:
        """Records one event, as ``record`` does.

        Raises: CrossTenant for another tenant than the session's, and as ``record``.
        """
        _check_tenant(session, tenant_id)
        said = {"ip_address": ip_address, "user_agent": user_agent, "error_message": error_message}
        self.record(
            session,
            event_type=event_type,
            category=event_category,
            description=action_description,
            status=status,
            resource=None if resource_type is None else (resource_type, resource_id),
            changes=changes,
            details={name: value for name, value in said.items() if value is not None} or None,
            actor=user_id,
            correlation_id=correlation_id,
        )

    def get_tenant_logs(
        self, db: TenantSession, tenant_id: object = None, *, days: float = 7, limit: int = 100
    ) -> list[Entry]:
        """Returns the newest entries of the last days.

        Raises: CrossTenant for another tenant than the session's.
        """
        _check_tenant(db, tenant_id)
        since = moment(db, later=-86_400 * days)
        return self.entries(db, since=since, limit=limit, newest_first=True)

    def get_recent_failures(
        self, db: TenantSession, tenant_id: object = None, *, hours: float = 24, limit: int = 100
    ) -> list[Entry]:
        """Returns the newest entries of the last hours whose status is not "success".

        Raises: CrossTenant for another tenant than the session's.
        """
        _check_tenant(db, tenant_id)
        since = moment(db, later=-3_600 * hours)
        return self.entries(db, since=since, failed=True, limit=limit, newest_first=True)

    def verify(self, where: TenantSession | TenantKey, /, *, at_most: int = 100) -> list[Finding]:
        """Returns what is wrong with a tenant's chain; an empty list means that every entry was looked at.

        Given a key it reads one state of the database; a session reads as its transaction does.

        Raises: AnchorUnreadable.
        """
        if isinstance(where, TenantSession):
            return self._verify(where, at_most)
        with self.tenancy.session(where, read_only=True, isolation_level=self.snapshot_level(where)) as session:
            return self._verify(session, at_most)

    def anchor(self, key: TenantKey, /) -> Anchor | None:
        """Anchors the end of a tenant's chain now, and returns the anchor, or None while there is no entry.

        Raises: ConfigurationError without anchors=, and what the store raises.
        """
        if self.recorder.anchors is None:
            raise ConfigurationError(
                what="This audit has nowhere to keep anchors.", fix='Pass Audit(…, anchors=AnchorFiles("anchors")).'
            )
        with self.tenancy.session(key, read_only=True) as session:
            head = querying.head(session, self.recorder.tables)
        if head is None or not head.seq:
            return None
        anchor = Anchor(session.tenant.id, head.seq, head.digest, head.recorded_at)
        self.recorder.anchors.put(anchor)
        return anchor

    def purge(
        self,
        key: TenantKey,
        /,
        *,
        older_than: datetime.datetime | datetime.timedelta = TWO_YEARS,
        reason: str = "retention",
    ) -> Purged:
        """Deletes a tenant's entries older than a time, or than so much time, and records that; the chain goes on.

        Raises: LoginRequired without the owner's login.
        """
        return purge(self.recorder, self.tenancy, key, older_than=older_than, reason=reason)

    def redact(self, key: TenantKey, seqs: Sequence[int], /, *, reason: str) -> int:
        """Takes the content out of entries, for somebody's right to be forgotten, and records that; the chain holds.

        Raises: LoginRequired without the owner's login, AuditRefused for entries the audit made of itself.
        """
        return redact(self.recorder, self.tenancy, key, seqs, reason=reason)

    def snapshot_level(self, key: TenantKey) -> str | None:
        """Returns the isolation level at which a tenant's transaction sees one state of the database."""
        tenant = self.tenancy.router.route(key).tenant
        # On SQLite every transaction does.
        on_sqlite = isinstance(self.tenancy.servers.get(tenant.server), SqliteServer)
        return None if on_sqlite else "REPEATABLE READ"

    def _checked(self, session: TenantSession) -> Recorder:
        if session.info.get("tenancy") is not self.tenancy:
            raise ConfigurationError(
                what="The session was opened by another Tenancy than the one this Audit was made of.",
                fix="Open it with tenancy.session(key).",
            )
        return self.recorder

    def _verify(self, session: TenantSession, at_most: int) -> list[Finding]:
        self._checked(session).pending(session).seal()
        anchors = self.recorder.anchors.anchors(session.tenant.id) if self.recorder.anchors else ()
        return verifying.verify(session, self.recorder.tables, self.recorder.keys, anchors, at_most=at_most)


def _check_tenant(session: TenantSession, tenant: object) -> None:
    if tenant is not None and str(tenant) != str(session.tenant.id):
        raise CrossTenant(model="log", tenant=session.tenant.id)
