"""Health, backups and schemas of one company, by the names of the document and over the rooms that do the work."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import os
import secrets
from typing import Any, Final

from tenantry.archive import Archive
from tenantry.archive.outcomes import Restored
from tenantry.errors import RecordNotFound
from tenantry.observe.health import Health
from tenantry.packs.helpdesk.lifecycles import BACKUPS
from tenantry.packs.helpdesk.models import Agent, Company, Ticket
from tenantry.packs.helpdesk.models_running import BackupRecord
from tenantry.packs.helpdesk.repositories_knowledge import BackupRecordRepository
from tenantry.packs.helpdesk.seed_databases import PostgreSQLDatabase, get_database
from tenantry.packs.helpdesk.seed_doors import door, found
from tenantry.packs.helpdesk.seed_repositories import TicketRepository
from tenantry.packs.helpdesk.words import WorkStatus
from tenantry.types import Tenant

logger: Final = logging.getLogger(__name__)

_SLOW_SECONDS: Final = 1.0
_FRESHDESK: Final = "freshdesk"


class DatabaseHealthMonitor:
    """Looks at companies' databases; ``metrics`` has what each look last came to."""

    def __init__(self) -> None:
        self.metrics: dict[str, dict[str, Any]] = {}

    def __repr__(self) -> str:
        return f"<DatabaseHealthMonitor of {len(self.metrics)}>"

    async def check_connection_health(self, tenant_id: str, platform: str) -> dict[str, Any]:
        """Returns ``status``, and the measured ``response_time`` or the ``error``."""
        try:
            tenant = await asyncio.to_thread(found, tenant_id, platform)
        except Exception as error:  # what is unhealthy is said, not raised
            return self._keep(tenant_id, platform, {"status": "unhealthy", "error": str(error)})
        check = await Health(door.tenancy).aio.check(tenant)
        said = {"response_time": check.response_time} if check.ok else {"error": check.error}
        return self._keep(tenant_id, platform, {"status": check.status, **said})

    async def check_query_performance(self, tenant_id: str, platform: str) -> dict[str, Any]:
        """Returns how long the latest tickets took: ``good`` below a second, else ``slow``.

        Raises: TenantNotFound.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        tickets = await TicketRepository(tenant_id, platform).get_recent_tickets(limit=10)
        took = loop.time() - begun
        rating = "good" if took < _SLOW_SECONDS else "slow"
        said = {"query_time": took, "records_returned": len(tickets), "performance_rating": rating}
        return self._keep(tenant_id, platform, said)

    async def get_database_stats(self, tenant_id: str, platform: str) -> dict[str, Any]:
        """Returns how many tickets, agents and companies there are within the company's walls, and its size in bytes.

        Raises: TenantNotFound.
        """
        tenant = await asyncio.to_thread(found, tenant_id, platform)
        counted = await Health(door.tenancy).aio.stats(tenant, [Ticket, Agent, Company])
        named = {f"total_{name}": number for name, number in counted.items()}
        size = await self.get_database_size(tenant_id, platform)
        return self._keep(tenant_id, platform, {**named, "database_size": size})

    async def get_database_size(self, tenant_id: str, platform: str) -> int | None:
        """Returns how many bytes the company takes, or None where its file is others' too'.

        Raises: TenantNotFound.
        """
        tenant = await asyncio.to_thread(found, tenant_id, platform)
        return (await Health(door.tenancy).aio.measure(tenant)).size

    def _keep(self, tenant_id: str, platform: str, said: dict[str, Any]) -> dict[str, Any]:
        self.metrics.setdefault(f"{platform}/{tenant_id}", {}).update(said)
        return said


class TenantBackupManager:
    """Backs companies up into an archive, now or by the clock, and restores them; each has a record of it.

    Without *archive* it is the one at TENANT_BACKUP_DIR (``./backups``), signed by TENANTRY_ARCHIVE_KEYS.
    """

    def __init__(self, archive: Archive | None = None) -> None:
        self._archive = archive
        self.backup_schedule: dict[tuple[str, str], asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<TenantBackupManager of {len(self.backup_schedule)} companies>"

    @property
    def archive(self) -> Archive:
        """Where the archives are.

        Raises: ConfigurationError without keys.
        """
        if self._archive is None:
            self._archive = Archive(door.tenancy, os.environ.get("TENANT_BACKUP_DIR") or "./backups")
        return self._archive

    async def backup_tenant_data(self, tenant_id: str, platform: str) -> str:
        """Returns the name of a new backup of one company's rows, and of no other's.

        Raises: TenantNotFound; as ``Archive.backup``.
        """
        filename = backup_name(tenant_id, platform)
        handle = get_database(tenant_id, platform)
        branch = self.backup_postgresql if isinstance(handle, PostgreSQLDatabase) else self.backup_sqlite
        await branch(tenant_id, platform, filename)
        return filename

    async def backup_postgresql(self, tenant_id: str, platform: str, filename: str) -> None:
        """Writes a company's backup out of PostgreSQL.

        Raises: as ``backup_tenant_data``.
        """
        await asyncio.to_thread(self._back_up, tenant_id, platform, filename)

    async def backup_sqlite(self, tenant_id: str, platform: str, filename: str) -> None:
        """Writes a company's backup out of SQLite; an archive has one form wherever the rows stand.

        Raises: as ``backup_tenant_data``.
        """
        await asyncio.to_thread(self._back_up, tenant_id, platform, filename)

    async def restore_tenant_data(self, tenant_id: str, platform: str, filename: str) -> Restored:
        """Gives a company the rows of one of its own backups, all or none; what it has now is backed up before.

        Raises: RecordNotFound for a name that is none of its backups, as ``Archive.restore``.
        """
        return await asyncio.to_thread(self._restore, tenant_id, platform, filename)

    async def schedule_automatic_backups(
        self, tenant_id: str, interval_hours: float = 24, *, platform: str = _FRESHDESK
    ) -> asyncio.Task[None]:
        """Returns the task that backs a company up now and every so many hours, in the place of the one before it.

        A failure is logged, and the next turn comes. It runs as long as this event loop; ``archive.schedules`` outlive
        a process.
        """
        await self.stop_automatic_backups(tenant_id, platform=platform)
        made = asyncio.create_task(self._repeat(tenant_id, platform, interval_hours * 3600))
        self.backup_schedule[tenant_id, platform] = made
        return made

    async def stop_automatic_backups(self, tenant_id: str, *, platform: str = _FRESHDESK) -> bool:
        """Ends a company's task once the backup under way is done, and says whether there was one."""
        task = self.backup_schedule.pop((tenant_id, platform), None)
        if task is None:
            return False
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return True

    async def _repeat(self, tenant_id: str, platform: str, seconds: float) -> None:
        while True:
            try:
                await self.backup_tenant_data(tenant_id, platform)
                logger.info("Backup completed for tenant %s", tenant_id)
            except Exception as error:  # the next turn may do better
                logger.error("Backup failed for tenant %s: %s", tenant_id, error)
            await asyncio.sleep(seconds)

    def _back_up(self, tenant_id: str, platform: str, filename: str) -> None:
        tenant = found(tenant_id, platform)
        with door.transaction(tenant) as session:
            record = BackupRecordRepository(session).create(filename=filename, platform=platform)
            known = record.id
        try:
            archived = self.archive.backup(tenant, note=filename)
        except BaseException as error:
            self._end(tenant, known, WorkStatus.FAILED, error=f"{type(error).__name__}: {error}")
            raise
        self._end(tenant, known, WorkStatus.DONE, path=archived.name, size=archived.size)

    def _end(self, tenant: Tenant, known: Any, status: str, **facts: Any) -> None:
        with door.transaction(tenant) as session:
            BACKUPS.take(BackupRecordRepository(session).get_one(known), status, **facts)

    def _restore(self, tenant_id: str, platform: str, filename: str) -> Restored:
        tenant = found(tenant_id, platform)
        with door.session(tenant) as session:
            record = BackupRecordRepository(session).find(filename=filename, status=WorkStatus.DONE)
        if record is None or record.path is None:
            raise RecordNotFound(model=BackupRecord.__name__)
        return self.archive.restore(tenant, record.path, in_place=True)


def backup_name(tenant_id: str, platform: str) -> str:
    """Returns a name for a backup taken now, in UTC; no two are the same, and no text in it leads elsewhere."""
    plain = [
        "".join(each if each.isalnum() or each in ".-" else "-" for each in text) for text in (tenant_id, platform)
    ]
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d_%H%M%S")
    return f"backup_{'_'.join(plain)}_{moment}_{secrets.token_hex(3)}.tenantry"


async def get_tenant_tickets(tenant_id: str, platform: str) -> list[Ticket]:
    """Returns a company's tickets of its platform, the latest first.

    Raises: TenantNotFound.
    """
    return await TicketRepository(tenant_id, platform).list(platform=platform, order_by="-created_at")
