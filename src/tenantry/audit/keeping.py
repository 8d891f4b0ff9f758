"""What is written after a transaction has ended: entries that had to outlive it, and anchors of those it committed."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select
from sqlalchemy.util import await_only

from tenantry.audit.anchors import Anchor, AnchorStore
from tenantry.audit.entries import Draft
from tenantry.models.serialisation import json_safe
from tenantry.session.core import TenantSession
from tenantry.types import Tenant

if TYPE_CHECKING:
    from tenantry.audit.recorder import Recorder

# Told of the tenant, the values of an entry that could not be written, and why.
Lost = Callable[[Tenant, dict[str, Any], BaseException], None]

_log: Final = logging.getLogger("tenantry.audit")


def keep(recorder: Recorder, session: TenantSession, drafts: list[Draft]) -> None:
    """Writes drafts in a transaction of their own, through the door that the session came by.

    The session's connection is back in its pool by now: a pool of one can lend it again, and on SQLite no transaction
    of this thread stands in the way.
    """
    if session.get_bind().dialect.is_async:
        await_only(_keep_async(recorder, session, drafts))
        return
    with session.info["tenancy"].transaction(session.tenant) as own:
        _extend(recorder, own, drafts)


async def _keep_async(recorder: Recorder, session: TenantSession, drafts: list[Draft]) -> None:
    async with session.info["tenancy"].aio.transaction(session.tenant) as own:
        await own.run_sync(lambda inner: _extend(recorder, inner, drafts))


def _extend(recorder: Recorder, session: TenantSession, drafts: list[Draft]) -> None:
    # A commit whose outcome is unknown may have written them after all.
    entries = recorder.tables.entries.c
    asked = select(entries.id).where(
        entries.tenant_id == session.tenant.id, entries.id.in_(draft.id for draft in drafts)
    )
    there = set(session.scalars(asked))
    recorder.pending(session).extend([draft for draft in drafts if draft.id not in there])


def tell_lost(tenant: Tenant, drafts: Sequence[Draft], error: BaseException, lost: Lost | None) -> None:
    """Logs entries that could not be written, whole, so that nothing is lost where the log is kept."""
    for draft in drafts:
        said = json.dumps({"tenant_id": str(tenant.id), **json_safe(draft.values)}, ensure_ascii=False)
        _log.error("An audit entry could not be written (%s): %s", type(error).__name__, said)
        if lost is not None:
            lost(tenant, dict(draft.values), error)


def write_anchor(session: TenantSession, store: AnchorStore, anchor: Anchor) -> None:
    """Keeps an anchor after a commit; one that cannot be kept is logged, since the commit is a fact."""
    try:
        if session.get_bind().dialect.is_async:
            await_only(asyncio.to_thread(store.put, anchor))
        else:
            store.put(anchor)
    except Exception:  # whatever a store raises
        _log.exception("Entry %d of tenant %s could not be anchored.", anchor.seq, anchor.tenant)
