"""Brings the primary and every company's database to the newest revision."""

from __future__ import annotations

import sys

from tenantry.packs.assistant import door, migrate_all_company_databases

if __name__ == "__main__":
    outcome = migrate_all_company_databases()
    for work in outcome.works:
        print(f"{work.home}: {work.state}")
    print(f"{len(outcome.done)} of {len(outcome.works)} migrated.")
    door.reset()
    sys.exit(0 if outcome.ok else 1)
