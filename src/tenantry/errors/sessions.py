"""Sessions and their transactions."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


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


class PoolExhausted(TenantryError, TimeoutError):
    """Every connection of the pool stayed in use for {waited:g} s. {held} Keep transactions shorter, close every
    session, or raise pool_size."""


class QueryTimeout(TenantryError, TimeoutError):
    """A statement ran longer than the limit of {seconds:g} s and was stopped. Narrow it, or raise statement_timeout."""


class OutcomeUnknown(TenantryError):
    """The connection was lost while {action} was being confirmed, so nobody can tell whether it happened.
    Look before you repeat it."""
