"""Every error that Tenantry raises: one base, a docstring that is the message, the facts in fields.

A message says what happened, to whom, and what to do next. HTTP status codes are mapped in ``web``, not here.
"""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Sequence
from typing import Any

from tenantry.types import Finding


class TenantryError(Exception):
    """Tenantry could not do what was asked."""

    def __init__(self, **fields: Any) -> None:
        template = inspect.cleandoc(type(self).__doc__ or type(self).__name__)
        super().__init__(" ".join(template.format_map(fields).split()))
        self.fields = fields
        # Last, and one by one: AttributeError and ImportError hold a name of their own and clear it.
        for name, value in fields.items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.fields)


def _rebuild(kind: type[TenantryError], fields: dict[str, Any]) -> TenantryError:
    return kind(**fields)


# --- settings and installation -------------------------------------------------------------------------------------


class ConfigurationError(TenantryError):
    """{what} {fix}"""


class ExtraMissing(TenantryError, ImportError):
    """{module} needs a package that is not installed. Run: pip install "tenantry[{extra}]"."""


class ModelsRefused(TenantryError):
    """{count} thing(s) in the models cannot be walled; mend each, then start again:
    {listing}"""

    findings: Sequence[Finding]

    def __init__(self, *, findings: Sequence[Finding], **_: Any) -> None:
        super().__init__(findings=findings, count=len(findings), listing="")
        lines = [f"{number}. {finding}" for number, finding in enumerate(findings, 1)]
        self.args = ("\n".join([str(self), *lines]),)


class UnsafeLogin(TenantryError):
    """The login {login!r} on server {server!r} {reason}, so the database would not hold the walls for it.
    Run `tenantry install --login NAME` with the owner's URL and put the URL it prints into Tenancy(url=...),
    or pass demote=True on a development server."""

    login: str
    server: str
    reason: str


class LoginRequired(TenantryError):
    """{action} on server {server!r} needs the {role} login. Pass {role}_url=... (TENANTRY_{upper}_URL) to Tenancy."""

    def __init__(self, *, action: str, role: str, server: str = "main", **_: Any) -> None:
        super().__init__(action=action, role=role, server=server, upper=role.upper())


class CatalogMissing(TenantryError):
    """Server {server!r} has no Tenantry catalog yet. Run `tenantry install`, or call tenancy.install()."""


class CatalogVersionMismatch(TenantryError):
    """The catalog stands at version {found}, but this library reads {oldest} to {newest}.
    Run `tenantry install` if the catalog is older; upgrade the tenantry package if it is newer."""


class ServerUnknown(TenantryError):
    """No server named {name!r} is registered in this process. Register it first: tenancy.servers.add({name!r}, url)."""


class ServerExists(TenantryError):
    """A server named {name!r} is already registered in this process. Choose another name, or drop the second add()."""


class IsolationUnavailable(TenantryError):
    """Isolation {isolation!r} is not available on server {server!r}: {reason}"""


# --- keys and lifecycle --------------------------------------------------------------------------------------------


class InvalidKey(TenantryError, ValueError):
    """The tenant key is not usable: {reason} Pass a UUID, a slug, a Tenant, or a (kind, value) pair."""


class InvalidSlug(InvalidKey):
    """The slug is not usable: {reason} Use 1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit."""


class TenantRequired(TenantryError):
    """No tenant is bound, so no statement was sent. Open a session with tenancy.session(key)."""


class TenantNotFound(TenantryError, LookupError):
    """No tenant has the key {key!r}. Create it with tenancy.tenants.create(...), or check the key."""


class TenantExists(TenantryError):
    """A tenant with the slug {slug!r} exists already. Use tenancy.tenants.get({slug!r}), or choose another slug."""


class IdentityTaken(TenantryError):
    """The {kind} identity {value!r} already finds another tenant. Identities are unique per kind; choose another."""


class TenantUnavailable(TenantryError):
    """Tenant {tenant} is {status}, so it gets no sessions. {next_step}"""

    tenant: uuid.UUID


class TenantSuspended(TenantUnavailable):
    """Tenant {tenant} is suspended, so it gets no sessions. Resume it with tenancy.tenants.resume(key)."""


class LifecycleError(TenantryError):
    """Tenant {tenant} is {status} and cannot become {wanted}. Allowed from here: {allowed}."""


class TenantLimitReached(TenantryError):
    """The ceiling of {limit} tenants is reached, so none was created. Raise max_tenants (MAX_TENANTS) or erase one."""


class TenantCreationDisabled(TenantryError):
    """Creating tenants is switched off here, so none was created. Set allow_tenant_creation (ALLOW_TENANT_CREATION)."""


class CreationInProgress(TenantryError):
    """Another process is creating the tenant {slug!r} right now.
    Call create() again in a moment:
    it then finishes or finds it."""


class EraseNotConfirmed(TenantryError):
    """Nothing was erased: confirm= must repeat the slug {slug!r} of the tenant to erase."""


class SurprisingErase(TenantryError):
    """Erasing tenant {tenant} met something it did not expect: {reason} Nothing was removed.
    Look at it, then erase again, or with force=True if it may go too."""


# --- sessions ------------------------------------------------------------------------------------------------------


class CrossTenant(TenantryError):
    """A {model} of another tenant was given to a session of tenant {tenant}. Load it in a session of its own tenant."""


class TenantImmutable(TenantryError):
    """The tenant of a {model} cannot change. Create a new {model} in a session of the other tenant instead."""


class StatementRefused(TenantryError):
    """This server has no wall of its own, so {statement} cannot be kept inside tenant {tenant} and was not sent.
    Use an ORM select, update or delete on mapped classes, or run `tenantry install` to put the wall up."""


class SessionInUse(TenantryError):
    """Two tasks or threads used one session at the same time. Give each its own: tenancy.session(key)."""


class SessionBoundForLife(TenantryError):
    """A session stays with the tenant it was opened for. Open another session for the other tenant."""


class TransactionModeRefused(TenantryError):
    """{mode} was asked of a tenant's session, but the tenant is bound to an ordinary transaction. {fix}"""


class ContextLost(TenantryError):
    """The transaction of tenant {tenant} was ended behind the session's back (a COMMIT or ROLLBACK sent as text),
    so the tenant is no longer bound. End transactions with session.commit() or session.rollback()."""


class ConnectionBudgetExhausted(TenantryError, TimeoutError):
    """All {budget} connections that server {server!r} may use for tenants' own databases stayed busy for {waited:g} s.
    Raise connection_budget, or keep transactions shorter."""


class QueryTimeout(TenantryError, TimeoutError):
    """A statement ran longer than the limit of {seconds:g} s and was stopped. Narrow it, or raise statement_timeout."""


class OutcomeUnknown(TenantryError):
    """The connection was lost while {action} was being confirmed, so nobody can tell whether it happened.
    Look before you repeat it."""


# --- repositories --------------------------------------------------------------------------------------------------


class RecordNotFound(TenantryError, LookupError):
    """This tenant has no such {model}. Check the key or the filters, or create the {model} first."""


class SeveralFound(TenantryError, LookupError):
    """More than one {model} matches where exactly one was asked for. Narrow the filters, or use find() or list()."""


class UnknownField(TenantryError, AttributeError):
    """{model} has no field {name!r} that can be {use}. Known fields: {known}."""


class InvalidFilter(TenantryError, ValueError):
    """{model}.{name} cannot be compared with that value: {reason}"""


class UpsertRefused(TenantryError, ValueError):
    """A {model} cannot be upserted by {key}: {reason} Keys that tell its rows apart: {known}."""


class InvalidPage(TenantryError, ValueError):
    """That page cannot be read: {reason}"""


# --- the embedded server -------------------------------------------------------------------------------------------


class EmbeddedServerError(TenantryError):
    """The embedded PostgreSQL server could not {action}: {reason}"""

    def __init__(self, *, action: str, reason: str, log: str = "") -> None:
        super().__init__(action=action, reason=reason, log=log)
        if log:
            self.args = ("\n".join([str(self), "Its last messages were:", *log.splitlines()[-15:]]),)


# --- the fleet -----------------------------------------------------------------------------------------------------


class MigrationsMissing(TenantryError):
    """No migrations were found{where}. Say where they are with Config(migrations="migrations"), the variable
    TENANTRY_MIGRATIONS or migrations = "…" under [tool.tenantry]; `tenantry fleet init` makes the directory."""


class RevisionUnknown(TenantryError):
    """There is no revision {revision!r} in {scripts}. List them with `tenantry fleet history`."""


class SeveralHeads(TenantryError):
    """The history in {scripts} has {count} heads: {heads}. Join them with `tenantry fleet revision --merge`,
    or name the one you mean."""


class HomeBusy(TenantryError):
    """{home} was in use: {reason} within {seconds} s. It is tried again; nothing was changed."""


class MigrationFailed(TenantryError):
    """{home} stays at {before}: step {step} failed. {error} Mend the cause, then run `tenantry fleet resume`."""


class CanaryRefused(TenantryError, ValueError):
    """{canary} cannot be the canary: {reason}"""


class RunUnknown(TenantryError, LookupError):
    """The journal of the fleet has no run {run}. `tenantry fleet status` shows the newest."""


class RunInProgress(TenantryError):
    """Run {run} is under way: {verb} to {target}. Wait for it, take part with `tenantry fleet work`,
    or stop it first with `tenantry fleet pause`."""


class RunClosed(TenantryError):
    """Run {run} is {state} and cannot be {wanted}. Begin another with `tenantry fleet upgrade`."""


class HookMissing(TenantryError):
    """Run {run} was begun with {hook}= in Python, which this process was not given.
    Call fleet.resume(run, {hook}=...) with the same."""


class Diverged(TenantryError):
    """{home} stands at {current}, which is not on the way to {target}. Look at `tenantry fleet history`; if its
    tables are right, record it with `tenantry fleet stamp`."""


class AdoptionRefused(TenantryError):
    """{count} thing(s) stand in the way of {stage}; nothing was changed. Mend each, then advance again:"""

    findings: Sequence[Finding]

    def __init__(self, *, stage: str, findings: Sequence[Finding], **_: Any) -> None:
        super().__init__(stage=stage, findings=findings, count=len(findings))
        lines = [f"{number}. {finding}" for number, finding in enumerate(findings, 1)]
        self.args = ("\n".join([str(self), *lines]),)


class AdoptionBusy(TenantryError):
    """Somebody else is at work on the adoption of {home}. Look at its status; it can be taken up once they are gone."""


class AdoptionFailed(TenantryError):
    """The adoption of {home} stopped in stage {stage}: {error} What was done stays; mend the cause and advance again,
    or roll back."""


class PlanInvalid(TenantryError):
    """{file}, line {line}: {reason}"""

    line: int


class ChangeAmbiguous(RevisionUnknown):
    """{revision} names several changes of {scripts}: {candidates}. Say which one you mean."""


class ScriptRefused(TenantryError):
    """{file}, line {line}: {reason} Nothing of the script was run."""

    line: int


class ChangeUnmet(MigrationFailed):
    """{home} stays at {before}: {step} cannot be run now. {error} Mend the cause, then run `tenantry fleet resume`."""


class ChangeUnproven(MigrationFailed):
    """{home} stays at {before}: an earlier run of {step} was cut off, and nobody can tell how far it came. {error}
    Look at the tables; then `tenantry fleet stamp` the change, or undo what it did."""


class WallMissing(MigrationFailed):
    """{home} stays at {before}: {step} would leave tables that are open without a wall. {error} Mend the script,
    then run `tenantry fleet resume`."""


class HomeBehind(TenantryError):
    """{home} stands at {current} and not at the head of the scripts, so it was not compared with the models.
    Bring it there first with `tenantry fleet upgrade`."""


class TenantColumnKept(TenantryError):
    """The column tenant_id of {table} was left as it is: it says whose each row is, and the wall stands on it.
    Drop the whole table, or take the wall down first with op.unwall({table!r})."""


class OrphansFound(TenantryError):
    """{home} was left as it was: rows refer to rows that do not exist, {found}.
    Mend or delete those rows in a data step before the key is made."""


# --- usage ---------------------------------------------------------------------------------------------------------


class PriceUnknown(TenantryError, LookupError):
    """There is no price for {provider}/{model}, so nothing was recorded. Add it to prices=, pass cost=, or make
    Usage(unpriced=True) to record such calls without a cost."""


class InvalidUsage(TenantryError, ValueError):
    """That use cannot be recorded: {reason}"""


class BudgetExceeded(TenantryError):
    """The tenant's budget ({period}) is {limit} {measure}; {spent} are used, and {wanted} more were asked for, so
    nothing was recorded. Raise the budget{or_wait}."""

    retry_after: float | None


# --- kill switches, circuit breakers, fair share -------------------------------------------------------------------


class KillSwitchActive(TenantryError):
    """{what} was stopped for this tenant: {reason} Wait until it is let go on, or have the switch deactivated."""

    workflow: str | None
    retry_after: float | None


class CircuitOpen(TenantryError):
    """Calls to {name!r} are held back: too many of this tenant's failed. Wait {retry_after} s and try again."""

    retry_after: float


class TenantBusy(TenantryError, TimeoutError):
    """This tenant has {limit} transactions under way and none ended within {waited} s. Wait {retry_after} s and try
    again."""

    retry_after: float


class TransactionBudgetExceeded(TenantryError):
    """The transaction used {used} {measure} where {limit} are allowed, and was stopped. Use smaller parts,
    or give it a larger budget."""


# --- idempotency and the outbox ------------------------------------------------------------------------------------


class PayloadRefused(TenantryError, ValueError):
    """{what} cannot be kept as JSON: {reason}
    Use dicts with text keys, lists, texts, numbers, booleans and None."""


class InvalidIdempotencyKey(TenantryError, ValueError):
    """The idempotency {part} is not usable: {reason} Use at most 255 printable characters, such as a UUID."""


class IdempotencyConflict(TenantryError):
    """The idempotency key {key!r} was used before with another payload, so nothing was done.
    Use a new key for a new request, or repeat the old one as it was."""

    key: str


class IdempotencyInFlight(TenantryError):
    """Another call with the idempotency key {key!r} is under way, so nothing was done.
    Call again, in a new transaction, after {retry_after:g} s: you then get its answer."""

    key: str
    retry_after: float


class IdempotencyUnfinished(TenantryError):
    """The call with the idempotency key {key!r} has no answer and nobody is at work on it: it is called from inside
    itself, or was committed before its end. Look at what it did; then call idempotency.forget(db, {key!r})."""

    key: str


class CommitInsideCall(TenantryError):
    """The transaction was ended inside the call with the idempotency key {key!r}, so its answer was not kept.
    Look at what it did, call idempotency.forget(db, {key!r}), and commit after the block from now on."""

    key: str


class HandlerMissing(TenantryError, LookupError):
    """No handler in this process takes events of the topic {topic!r}, so it waits.
    Register one with @outbox.handler({topic!r}), or one for every other topic with @outbox.handler("*")."""


class EventNotParked(TenantryError, LookupError):
    """This tenant's outbox has no parked event {event}. List those that are with outbox.parked(db)."""


class StreamLost(TenantryError):
    """Another relay has taken over the outbox of tenant {tenant}, so what this one did last was not acknowledged.
    Raise lease= above the time of the slowest handler."""

    tenant: uuid.UUID


# --- what is kept: append-only, soft delete ------------------------------------------------------------------------


class AppendOnlyViolation(TenantryError):
    """{action} on {table} was refused: it is append-only, so its rows are neither changed nor deleted. Add a new row
    that says what is different; rows that are old enough go by tenancy.purge()."""


# --- rates and quotas ----------------------------------------------------------------------------------------------


class RateLimited(TenantryError):
    """The limit of {limit} for {resource!r} is used up, and nothing was done. Call again in {retry_after:.3f} s."""

    resource: str
    limit: int
    retry_after: float


class RatesUnavailable(TenantryError):
    """No call for {resource!r} can be counted now, so none was let through: {reason}
    Look at the store of the rates; Rates(fail_open=True) lets calls pass uncounted meanwhile."""

    resource: str


class QuotaExceeded(TenantryError):
    """The quota {quota!r} allows {limit}: {used} are used and {asked} more were asked for, so nothing was written.
    Free some, or raise it with quotas.set(key, {quota!r}, …)."""

    quota: str
    used: int
    limit: int
    asked: int


# --- the audit -----------------------------------------------------------------------------------------------------


class AuditRefused(TenantryError, ValueError):
    """Nothing was recorded: {reason}"""


class CaptureRefused(TenantryError):
    """Every change of a {model} is recorded, and {statement} does not say which rows it changes. {fix}"""


class AnchorUnreadable(TenantryError):
    """An anchor of the audit cannot be read, {place}: {reason} Look at what else writes there."""
