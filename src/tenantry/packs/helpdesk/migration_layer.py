"""From the legacy store to the models: both written for a while, rows brought over, and both compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tenantry.packs.helpdesk.legacy import LegacyObject, LegacyStore
from tenantry.packs.helpdesk.models_knowledge import IntegratedObject
from tenantry.packs.helpdesk.repositories_knowledge import IntegratedObjectRepository
from tenantry.session.core import TenantSession
from tenantry.types import Finding


def writes_orm(*, use_orm: bool, use_legacy: bool | None = None) -> bool:
    """Returns whether the models are written: what the caller says wins over what the environment says (USE_ORM)."""
    return use_orm if use_legacy is None else not use_legacy


@dataclass(frozen=True, slots=True)
class Migrated:
    """How far a migration came: rows brought over, rows that were the same already, and where to go on."""

    brought: int
    same: int
    after: tuple[str, str] | None


class LegacyMigration:
    """Brings one company's objects from its legacy store into the models, while both are written.

    The order is: write both, ``migrate`` until nothing is left, ``compare`` until nothing differs, then read and write
    the models alone.
    """

    def __init__(self, store: LegacyStore) -> None:
        self.store = store

    def __repr__(self) -> str:
        return f"LegacyMigration({self.store!r})"

    def write(self, session: TenantSession, data: Mapping[str, Any]) -> IntegratedObject:
        """Returns the object of these data, written to the models and to the legacy store.

        The models first: where they refuse, nothing is written. What the transaction then takes back the legacy store
        keeps until the next ``compare`` tells of it.

        Raises: UnknownField, CrossTenant.
        """
        # What the legacy store would refuse the models are not to keep either.
        self.store.check(data)
        found = IntegratedObjectRepository(session).store(_with_kind(data))
        self.store.store(_plain(found))
        return found

    def migrate(self, session: TenantSession, *, batch: int = 500, after: tuple[str, str] | None = None) -> Migrated:
        """Brings over one batch of objects, those behind *after*; ``after`` of the answer is None at the end.

        An object that the models have already stays as it is there, since both were written.

        Raises: UnknownField.
        """
        objects, repository = self.store.after(after, limit=batch), IntegratedObjectRepository(session)
        brought = 0
        for old in objects:
            if repository.get_by_original(old.original_id, object_type=old.object_type) is None:
                repository.create({**old.values(), "platform": self.store.platform})
                brought += 1
        last = (objects[-1].object_type, objects[-1].original_id) if len(objects) == batch else None
        return Migrated(brought, len(objects) - brought, last)

    def migrate_all(self, session: TenantSession, *, batch: int = 500) -> Migrated:
        """Brings over all objects, a commit for each batch; interrupted, the next call goes on.

        Raises: UnknownField.
        """
        brought, same, after = 0, 0, None
        while True:
            step = self.migrate(session, batch=batch, after=after)
            session.commit()
            brought, same, after = brought + step.brought, same + step.same, step.after
            if after is None:
                return Migrated(brought, same, None)

    def compare(self, session: TenantSession) -> list[Finding]:
        """Returns in what the two differ, object by object; an empty list means that all were compared."""
        platform = self.store.platform
        present = {
            (row.object_type, row.original_id): _legacy(row)
            for row in IntegratedObjectRepository(session).list(platform=platform)
        }
        return [*self._differences(present)]

    def _differences(self, present: dict[tuple[str, str], LegacyObject]) -> Iterator[Finding]:
        for old in self.store.all():
            new = present.pop((old.object_type, old.original_id), None)
            if new is None:
                yield _finding("H001", old, "The models do not have it.", "Run migrate().")
            elif new.digest() != old.digest():
                yield _finding("H002", old, "The two say different things.", "Write it again with write().")
        for new in present.values():
            yield _finding("H003", new, "The legacy store does not have it.", "Nothing, once reads go to the models.")


def _with_kind(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"object_type": "ticket", **data}


def _plain(row: IntegratedObject) -> dict[str, Any]:
    return _legacy(row).values()


def _legacy(row: IntegratedObject) -> LegacyObject:
    return LegacyObject(row.object_type, row.original_id, row.title, row.content, dict(row.object_metadata))


def _finding(code: str, about: LegacyObject, message: str, fix: str) -> Finding:
    return Finding(code, f"{about.object_type} {about.original_id}", message, fix)
