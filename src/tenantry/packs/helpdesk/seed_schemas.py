"""A company's settings, its schema of its own, and migrations of its own rows, by the names of the document."""

from __future__ import annotations

import asyncio
import builtins
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import text

from tenantry.errors import InvalidKey, MigrationScriptMissing, VersionUnlike
from tenantry.models.columns import utc_now
from tenantry.packs.helpdesk.repositories_knowledge import SchemaVersionRepository, TenantSettingRepository
from tenantry.packs.helpdesk.seed_config import check_company
from tenantry.packs.helpdesk.seed_databases import PostgreSQLDatabase
from tenantry.packs.helpdesk.seed_doors import door, found
from tenantry.session.core import TenantSession
from tenantry.types import Tenant

# One statement, or a function of a session.
Step = str | Callable[[TenantSession], Any]


class TenantConfig:
    """A company's settings."""

    def __init__(self, tenant_id: str, platform: str) -> None:
        self.tenant_id = tenant_id
        self.platform = platform

    def __repr__(self) -> str:
        return f"TenantConfig({self.tenant_id!r}, {self.platform!r})"

    def get(self, key: str, default: Any = None) -> Any:
        """Returns what a setting says, or *default*.

        Raises: TenantNotFound, InvalidKey.
        """
        with door.session(self._tenant()) as session:
            return TenantSettingRepository(session).get_value(key, default)

    def set(self, key: str, value: Any, *, is_secret_ref: bool = False) -> None:
        """Keeps a setting; one that leads to a secret holds where it is, never the secret.

        Raises: TenantNotFound, InvalidKey, SecretRefused.
        """
        with door.transaction(self._tenant()) as session:
            settings = TenantSettingRepository(session)
            settings.set_value(key, value, is_secret_ref=is_secret_ref, platform=self.platform)

    def list(self) -> dict[str, Any]:
        """Returns every setting by its name.

        Raises: TenantNotFound, InvalidKey.
        """
        with door.session(self._tenant()) as session:
            return {row.key: row.value for row in TenantSettingRepository(session).list(order_by="key")}

    def validate(self) -> builtins.list[str]:
        """Returns what is wrong with the company's names; an empty list means nothing is."""
        try:
            check_company(self.tenant_id, self.platform)
        except InvalidKey as error:
            return [str(error)]
        return []

    def _tenant(self) -> Tenant:
        return found(self.tenant_id, self.platform)


@dataclass(frozen=True, slots=True)
class MigrationScript:
    """How a company's rows come from one version to the next: statements or functions, in one transaction."""

    before: str
    after: str
    steps: Sequence[Step]
    description: str = ""

    @property
    def text(self) -> str:
        """The steps for people to read."""
        return ";\n".join(step if isinstance(step, str) else f"-- {step.__qualname__}()" for step in self.steps)

    @property
    def checksum(self) -> str:
        """A digest of the steps."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def run(self, session: TenantSession) -> None:
        """Takes the steps in a session."""
        for step in self.steps:
            if isinstance(step, str):
                session.execute(text(step))
            else:
                step(session)


class TenantSchemaManager:
    """A company's schema of its own on PostgreSQL, and migrations of its own rows wherever they stand.

    ``schema_name`` is what the document calls the schema; in the database it is named after the tenant's id, so that
    no text of anybody's is in a statement.
    """

    scripts: ClassVar[dict[tuple[str, str], MigrationScript]] = {}

    def __init__(self, tenant_id: str, platform: str) -> None:
        self.tenant_id = tenant_id
        self.platform = platform
        self.schema_name = f"tenant_{tenant_id}"

    def __repr__(self) -> str:
        return f"TenantSchemaManager({self.tenant_id!r}, {self.platform!r})"

    @classmethod
    def register(cls, before: str, after: str, *steps: Step, description: str = "") -> None:
        """Has ``migrate_tenant_data`` know the way from one version to the next."""
        cls.scripts[before, after] = MigrationScript(before, after, steps, description)

    async def create_tenant_schema(self) -> str:
        """Returns the schema of its own that the company lives in, made where the company is new.

        Raises: ConfigurationError for a company that lives elsewhere; as ``Tenants.create``.
        """
        database = PostgreSQLDatabase(self.tenant_id, self.platform)
        return await database.create_tables_in_schema(self.schema_name)

    def get_migration_script(self, from_version: str, to_version: str) -> str:
        """Returns what a migration does, for people to read.

        Raises: MigrationScriptMissing.
        """
        return self._script(from_version, to_version).text

    async def migrate_tenant_data(self, from_version: str, to_version: str) -> bool:
        """Brings the company's rows to a version, in one transaction with the record of it, and says if they were not.

        Raises: MigrationScriptMissing, VersionUnlike, TenantNotFound, and what a step raises: nothing was changed then.
        """
        script = self._script(from_version, to_version)
        return await asyncio.to_thread(self._migrate, script)

    def _script(self, before: str, after: str) -> MigrationScript:
        known = self.scripts.get((before, after))
        if known is None:
            raise MigrationScriptMissing(before=before, after=after)
        return known

    def _migrate(self, script: MigrationScript) -> bool:
        tenant = found(self.tenant_id, self.platform)
        try:
            with door.transaction(tenant) as session:
                versions = SchemaVersionRepository(session)
                present = versions.get_current()
                if present == script.after:
                    return False
                if present not in (None, script.before):
                    raise VersionUnlike(present=present, before=script.before)
                begun = time.monotonic()
                script.run(session)
                self._note(session, script, success=True, took=time.monotonic() - begun)
        except VersionUnlike:
            raise
        except Exception:
            with door.transaction(tenant) as session:
                self._note(session, script, success=False, took=0.0)
            raise
        return True

    def _note(self, session: TenantSession, script: MigrationScript, *, success: bool, took: float) -> None:
        versions = SchemaVersionRepository(session)
        facts = {"checksum": script.checksum, "description": script.description, "success": success}
        facts |= {"applied_at": utc_now(), "duration_ms": round(took * 1000), "platform": self.platform}
        row = versions.find(version=script.after)
        if row is None:
            versions.create(version=script.after, **facts)
        else:
            versions.update(row, **facts)
