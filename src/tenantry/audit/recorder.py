"""What records for an audit in the sessions of its tenancy; it knows no tenancy but the one a session was opened by."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy.orm import Mapper

from tenantry.audit.anchors import Anchor, AnchorStore
from tenantry.audit.capturing import Captured, captured
from tenantry.audit.digests import Keys
from tenantry.audit.drafting import drafted
from tenantry.audit.entries import Draft, Head, Tables
from tenantry.audit.keeping import Lost, keep, tell_lost, write_anchor
from tenantry.audit.pending import Pending, attend, pending_of
from tenantry.audit.redacting import Redactor
from tenantry.audit.sealing import Chain
from tenantry.session.core import TenantSession


class Recorder:
    """Drafts entries, seals them, anchors the chain, and knows which models' changes are recorded."""

    def __init__(
        self,
        tables: Tables,
        keys: Keys,
        redactor: Redactor,
        *,
        anchors: AnchorStore | None,
        anchor_every: int,
        lost: Lost | None,
        most: int,
    ) -> None:
        self.tables = tables
        self.keys = keys
        self.redactor = redactor
        self.anchors = anchors
        self.most = most
        self._anchor_every = anchor_every
        self._lost = lost
        self._models: dict[Mapper[Any], Captured] = {}
        self._found: dict[Mapper[Any], Captured | None] = {}
        attend()

    def pending(self, session: TenantSession) -> Pending:
        """Returns what the session's transaction has recorded and not sealed yet."""
        return pending_of(session, self)

    def record(self, session: TenantSession, *, kept: bool, **event: Any) -> None:
        """Drafts one entry for the session's transaction."""
        self.pending(session).add(drafted(session.info, self.redactor, **event), kept=kept)

    def seal(self, session: TenantSession, drafts: list[Draft]) -> tuple[Head, Head]:
        """Writes drafts to the chain, in the session's transaction."""
        return Chain(session, session.tenant.id, self.tables, self.keys).seal(drafts)

    def sealed(self, session: TenantSession, before: Head, after: Head) -> None:
        """Anchors the chain where it has passed a multiple of the number of entries between two anchors."""
        if self.anchors is not None and after.seq // self._anchor_every > before.seq // self._anchor_every:
            anchor = Anchor(session.tenant.id, after.seq, after.digest, after.recorded_at)
            write_anchor(session, self.anchors, anchor)

    def keep(self, session: TenantSession, drafts: list[Draft]) -> None:
        """Writes drafts in a transaction of their own, or says that they are lost."""
        try:
            keep(self, session, drafts)
        except Exception as error:  # the caller's own error is on its way, or its success is a fact
            tell_lost(session.tenant, drafts, error, self._lost)

    def capture(self, mapper: Mapper[Any], *, redact: Collection[str], exclude: Collection[str], category: str) -> None:
        """Has the changes of a class recorded, and of those that inherit from it."""
        self._models[mapper] = captured(mapper, redact=redact, exclude=exclude, category=category)
        self._found.clear()

    def of_mapper(self, mapper: Mapper[Any]) -> Captured | None:
        """Returns what is recorded of a class, or None."""
        if mapper not in self._found:
            ancestors = (self._models[one] for one in mapper.iterate_to_root() if one in self._models)
            found = next(ancestors, None)
            self._found[mapper] = found and found.of(mapper)
        return self._found[mapper]

    def of_table(self, table: object) -> Captured | None:
        """Returns what is recorded of the class that a table belongs to, or None."""
        families = (mapper for model in self._models for mapper in model.self_and_descendants)
        mapper = next((mapper for mapper in families if table in mapper.tables), None)
        return None if mapper is None else self.of_mapper(mapper)

    def changed(self, session: TenantSession, event: dict[str, Any]) -> None:
        """Records one captured change."""
        self.record(session, kept=False, **event)
