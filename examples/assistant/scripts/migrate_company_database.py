"""Brings one company's database to the newest revision: --company-id 1."""

from __future__ import annotations

import argparse
import sys

from tenantry.packs.assistant import door, migrate_company_database

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--company-id", type=int, required=True)
    outcome = migrate_company_database(parser.parse_args().company_id)
    print(f"{len(outcome.done)} of {len(outcome.works)} migrated.")
    door.reset()
    sys.exit(0 if outcome.ok else 1)
