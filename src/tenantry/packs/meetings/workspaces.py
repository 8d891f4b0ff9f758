"""Workspaces: installed once, held to their plan, and their users."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import select

from tenantry.audit import Audit
from tenantry.errors import IdentityTaken, RecordNotFound, TenantExists, TenantNotFound
from tenantry.limits import Quotas
from tenantry.packs.meetings.lifecycles import SUBSCRIPTION
from tenantry.packs.meetings.models import Tenant, User
from tenantry.packs.meetings.plans import PLANS
from tenantry.packs.meetings.repositories import UserRepository
from tenantry.packs.meetings.words import PlanTier
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import Tenant as Placed
from tenantry.types import TenantStatus

SLACK_TEAM: Final = "slack_team"
_INSTALLED: Final = "workspace.installed"
_DIGITS: Final = 12


class Workspaces:
    """What may be done with a workspace as a whole."""

    def __init__(self, tenancy: Tenancy, *, audit: Audit, quotas: Quotas) -> None:
        self._tenancy = tenancy
        self._audit = audit
        self._quotas = quotas

    def install(self, slack_team_id: str, slack_team_name: str, *, isolation: str | None = None, **more: Any) -> Placed:
        """Returns the tenant of a Slack workspace, made where there is none; *more* are columns of ``Tenant``.

        A tenant that waits for its place is ``provisioning``: install it again once it is active.

        Raises: as ``tenancy.tenants.create``.
        """
        record = {"slack_team_id": slack_team_id, "slack_team_name": slack_team_name, **more}
        options: dict[str, Any] = {"name": slack_team_name, "identities": [(SLACK_TEAM, slack_team_id)]}
        found = self._made(slack_team_id, options if isolation is None else {**options, "isolation": isolation}, record)
        if found.status is TenantStatus.ACTIVE:
            self._begin(found, record)
        return found

    def _made(self, slack_team_id: str, options: Mapping[str, Any], record: Mapping[str, Any]) -> Placed:
        slug = slug_of(slack_team_id)
        # Slack tells of an installation twice, and the other call may be first; or somebody else has the slug.
        for name in (slug, f"{slug}-{hashlib.sha256(slack_team_id.encode()).hexdigest()[:_DIGITS]}"):
            with contextlib.suppress(TenantNotFound):
                return self._tenancy.tenants.get((SLACK_TEAM, slack_team_id))
            with contextlib.suppress(IdentityTaken, TenantExists):
                return self._tenancy.tenants.create(name, record=dict(record), **options)
        return self._tenancy.tenants.get((SLACK_TEAM, slack_team_id))

    def _begin(self, made: Placed, record: Mapping[str, Any]) -> None:
        with self._tenancy.transaction(made) as session:
            seen = {"include_deleted": True}
            if session.get(Tenant, made.id, execution_options=seen) is None:
                session.add(Tenant(**record))
                session.flush()
            if not self._audit.entries(session, event_type=_INSTALLED, limit=1):
                self.keep_to_plan(session)
                who = record.get("installed_by_slack_user_id")
                self._note(session, _INSTALLED, "Installed the workspace", actor=who)

    def change_plan(self, session: TenantSession, plan_tier: str) -> Tenant:
        """Returns the workspace under another plan; what is beyond the new one's limits stays, and nothing is added.

        Raises: RecordNotFound, ValueError for a plan that there is not.
        """
        workspace = self._own(session)
        before, workspace.plan_tier = workspace.plan_tier, PlanTier(plan_tier)
        session.flush()
        self.keep_to_plan(session)
        changes = {"plan_tier": [before, plan_tier]}
        self._note(session, "workspace.plan_changed", "Changed the plan", category="billing", changes=changes)
        return workspace

    def change_subscription(self, session: TenantSession, status: str) -> Tenant:
        """Returns the workspace with the next status of its subscription.

        Raises: IllegalStep, RecordNotFound.
        """
        workspace = self._own(session)
        before = workspace.subscription_status
        SUBSCRIPTION.take(workspace, status)
        changes = {"subscription_status": [before, status]}
        self._note(session, "workspace.subscription_changed", "Changed the subscription", "billing", changes=changes)
        return workspace

    def keep_to_plan(self, session: TenantSession) -> None:
        """Sets the tenant's quotas to what its plan allows; one without a workspace has none."""
        tier = session.scalars(select(Tenant.plan_tier)).first()
        if tier is not None:
            plan = PLANS[tier]
            self._quotas.set(session, "users", plan.users)
            self._quotas.set(session, "crm_connections", plan.crm_connections)

    def add_user(self, session: TenantSession, /, slack_user_id: str, **values: Any) -> User:
        """Returns a new user; one who left comes back as they were, with *values* changed.

        Raises: QuotaExceeded at the commit where the plan has no seat left, UnknownField.
        """
        users = UserRepository(session)
        gone = users.query().include_deleted().filter_by(slack_user_id=slack_user_id).order_by("-created_at").first()
        if gone is not None and gone.is_deleted:
            user = users.update(users.restore(gone.id), **values)
        else:
            user = users.create(slack_user_id=slack_user_id, **values)
        self._note(session, "user.added", "Added a user", resource=("user", user.id))
        return user

    def change_user(self, session: TenantSession, /, user_id: uuid.UUID, **values: Any) -> User:
        """Returns the user with other values.

        Raises: RecordNotFound, UnknownField.
        """
        users = UserRepository(session)
        before = users.get_one(user_id).role
        user = users.update(user_id, **values)
        changes = {"role": [before, user.role]} if user.role != before else None
        self._note(session, "user.changed", "Changed a user", resource=("user", user.id), changes=changes)
        return user

    def remove_user(self, session: TenantSession, user_id: uuid.UUID) -> None:
        """Takes a user out of the workspace; their meetings stay.

        Raises: RecordNotFound.
        """
        UserRepository(session).delete(user_id)
        self._note(session, "user.removed", "Removed a user", resource=("user", user_id))

    def _own(self, session: TenantSession) -> Tenant:
        found = session.scalars(select(Tenant)).first()
        if found is None:
            raise RecordNotFound(model="Tenant")
        return found

    def _note(self, session: TenantSession, kind: str, text: str, category: str = "admin", **more: Any) -> None:
        self._audit.record(session, event_type=kind, category=category, description=text, **more)


def slug_of(slack_team_id: str) -> str:
    """Returns the slug of a workspace that is known by what Slack calls it."""
    return f"slack-{slack_team_id.lower().replace('_', '-')}"
