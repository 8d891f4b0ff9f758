"""Makes the installation and brings every home to the newest revision; safe to repeat."""

from __future__ import annotations

import dataclasses

from app import meetings, tenancy

from tenantry.fleet import Fleet
from tenantry.packs.meetings import MIGRATIONS

if __name__ == "__main__":
    tenancy.lend_migrations(MIGRATIONS)
    tenancy.install()
    run = Fleet(tenancy).upgrade().run
    meetings.prepare()
    print(f"{dataclasses.asdict(run).get('state')}: every home is at head")
    tenancy.close()
