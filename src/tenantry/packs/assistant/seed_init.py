"""The assistant's databases made, migrated and emptied, by the names that its document calls these."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sqlalchemy import delete

from tenantry.access import FirstAdministrator
from tenantry.archive import Archive
from tenantry.errors import EraseNotConfirmed, TenantNotFound
from tenantry.fleet import Fleet, Home, Outcome
from tenantry.fleet.orders import HEAD
from tenantry.fleet.owning import file_of
from tenantry.isolation.sqlite import SqliteServer
from tenantry.packs.assistant.base import number_of
from tenantry.packs.assistant.companies import CompanyCard
from tenantry.packs.assistant.models_primary import Company, User
from tenantry.packs.assistant.seed_session import door
from tenantry.types import TenantStatus

RESET_WORD: Final = "all databases"

_STANDING: Final = (TenantStatus.PROVISIONING, TenantStatus.ACTIVE, TenantStatus.SUSPENDED, TenantStatus.ERASING)


def initialize_primary_database(environ: Mapping[str, str] | None = None) -> FirstAdministrator | None:
    """Makes the primary's tables, its roles, their permissions and the first super admin, as far as they are missing.

    Returns the super admin where one was made, with the password this once, if it was made up.

    Raises: LoginRequired without the owner's login, PasswordRefused.
    """
    door.tenancy.install()
    Fleet(door.tenancy).upgrade()
    return door.pack.prepare(environ)


def initialize_company_database(company_id: int) -> CompanyCard:
    """Makes the database of a company that the primary knows; one that stands is left as it is.

    Raises: CompanyUnknown, and as ``tenancy.tenants.create``.
    """
    return door.pack.companies.initialise(company_id)


def migrate_all_company_databases(*, jobs: int = 4) -> Outcome:
    """Brings every database, the primary included, to the newest revision; what failed is in the outcome.

    Raises: as ``Fleet.upgrade``.
    """
    return Fleet(door.tenancy).upgrade(jobs=jobs)


def migrate_company_database(company_id: int) -> Outcome:
    """Brings one company's own database to the newest revision.

    Raises: TenantNotFound, and as ``Fleet.upgrade``.
    """
    tenant = door.tenancy.tenants.get(door.pack.companies.key(company_id))

    def theirs(home: Home) -> bool:
        return home.tenant == tenant.id

    return Fleet(door.tenancy).upgrade(where=theirs)


def migrate_database(db_path: str | Path, *, revision: str = HEAD) -> bool:
    """Brings the database in one file to a revision, unless it is there or beyond, and returns whether it changed.

    Raises: TenantNotFound for a file that is none of the fleet's, and what kept it from getting there.
    """
    wanted = Path(db_path).resolve()
    fleet = Fleet(door.tenancy)
    homes = [home for home in fleet.current() if _file_of(home) == wanted]
    if not homes:
        raise TenantNotFound(key=str(db_path))
    outcome = fleet.upgrade(revision, where=lambda home: home in homes)
    return any(work.before != work.after for work in outcome.works)


def migrate_add_low_confidence_warning(db_path: str | Path) -> bool:
    """Adds the column ``low_confidence_warning`` to the messages in one file, and returns whether it was missing.

    Raises: as ``migrate_database``.
    """
    return migrate_database(db_path, revision="warning")


def migrate_add_saved_reports(db_path: str | Path) -> bool:
    """Adds the table ``saved_reports`` in one file, and returns whether it was missing.

    Raises: as ``migrate_database``.
    """
    return migrate_database(db_path, revision="reports")


def reset_all_databases(*, confirm: str, archive: Archive | None) -> int:
    """Erases every company with its users, and returns how many there were; with an *archive* each is backed up first.

    The super admins stay, and so do roles and permissions. *confirm* is ``RESET_WORD``.

    Raises: EraseNotConfirmed for another word, and then nothing was done; as ``Archive.backup``, before any goes.
    """
    if confirm != RESET_WORD:
        raise EraseNotConfirmed(slug=RESET_WORD)
    tenancy = door.tenancy
    tenants = [tenant for tenant in tenancy.every_tenant(statuses=_STANDING) if number_of(tenant) is not None]
    if archive is not None:
        for tenant in tenants:
            archive.backup(tenant)
    for tenant in tenants:
        tenancy.tenants.erase(tenant, confirm=tenant.slug)
    with tenancy.platform() as session:
        session.execute(delete(User).where(User.company_id.is_not(None)))
        session.execute(delete(Company))
        session.commit()
    return len(tenants)


def _file_of(home: Home) -> Path | None:
    server = door.tenancy.servers.get(home.server)
    return file_of(home, server).resolve() if isinstance(server, SqliteServer) else None
