"""The CRM's accounts of people's domains: looked up, learnt, and confirmed."""

from __future__ import annotations

import uuid

from sqlalchemy import update

from tenantry.audit import Audit
from tenantry.errors import CRMConnectionMissing, InvalidDomain
from tenantry.models.columns import utc_now
from tenantry.packs.meetings.models import CRMConnection
from tenantry.packs.meetings.repositories import AccountMappingRepository, CRMConnectionRepository
from tenantry.packs.meetings.sessions import AccountMapping, normalise_domain
from tenantry.packs.meetings.words import MappingSource
from tenantry.session.core import TenantSession


class Accounts:
    """What is known of whose account a domain is, in the default CRM unless another is named."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def find(
        self,
        session: TenantSession,
        email: str,
        *,
        crm_connection_id: uuid.UUID | None = None,
        verified_only: bool = False,
        counted: bool = True,
    ) -> AccountMapping | None:
        """Returns the account of an address, or None: for no address, and without a CRM, too; its use is *counted*."""
        connection_id = crm_connection_id or _default(session)
        if connection_id is None:
            return None
        mappings = AccountMappingRepository(session)
        found = mappings.get_by_domain(connection_id, email, verified_only=verified_only)
        if found is not None and counted:
            once_more = {"use_count": AccountMapping.use_count + 1, "last_used_at": utc_now()}
            # By the database, since two may use it at once.
            session.execute(update(AccountMapping).where(AccountMapping.id == found.id).values(once_more))
            session.refresh(found, ["use_count", "last_used_at"])
        return found

    def learn(
        self,
        session: TenantSession,
        email: str,
        crm_account_id: str,
        *,
        crm_account_name: str | None = None,
        confidence: float = 1.0,
        source: str = MappingSource.AUTO,
        crm_connection_id: uuid.UUID | None = None,
    ) -> AccountMapping:
        """Returns what is known of an address's domain from now on; what somebody has verified is not overwritten.

        Raises: InvalidDomain, CRMConnectionMissing.
        """
        domain = normalise_domain(email)
        if domain is None:
            raise InvalidDomain(value=email)
        connection_id = crm_connection_id or _default(session)
        if connection_id is None:
            raise CRMConnectionMissing
        mappings = AccountMappingRepository(session)
        known = mappings.get_by_domain(connection_id, domain)
        values = {
            "crm_account_id": crm_account_id,
            "crm_account_name": crm_account_name,
            "confidence": confidence,
            "source": source,
        }
        if known is None:
            return mappings.create(crm_connection_id=connection_id, email_domain=domain, **values)
        return known if known.is_verified else mappings.update(known, **values)

    def verify(self, session: TenantSession, mapping_id: uuid.UUID, *, by: uuid.UUID | None = None) -> AccountMapping:
        """Returns the mapping, confirmed by a user.

        Raises: RecordNotFound.
        """
        mappings = AccountMappingRepository(session)
        confirmed = {"is_verified": True, "verified_at": utc_now(), "verified_by_user_id": by, "confidence": 1.0}
        found = mappings.update(mapping_id, **confirmed)
        self._audit.record(
            session,
            event_type="account.verified",
            category="data",
            description="Confirmed the account of a domain",
            resource=("account_mapping", found.id),
        )
        return found


def _default(session: TenantSession) -> uuid.UUID | None:
    found: CRMConnection | None = CRMConnectionRepository(session).get_default()
    return None if found is None else found.id
