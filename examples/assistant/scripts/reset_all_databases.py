"""Erases every company with its database: takes --yes and the words typed out, and backs each up first."""

from __future__ import annotations

import argparse
import sys

from tenantry.archive import Archive
from tenantry.errors import EraseNotConfirmed
from tenantry.packs.assistant import RESET_WORD, door, reset_all_databases

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--yes", action="store_true", help="without it nothing is done")
    parser.add_argument("--backup", help="the directory for the backups")
    parser.add_argument("--without-backup", action="store_true")
    given = parser.parse_args()
    if not given.yes or not (given.backup or given.without_backup):
        sys.exit("Nothing was done. Give --yes, and --backup DIRECTORY or --without-backup.")
    archive = Archive(door.tenancy, given.backup) if given.backup else None
    print(f"Type {RESET_WORD!r} to erase {door.pack.companies.count()} companies:")
    try:
        print(f"{reset_all_databases(confirm=input(), archive=archive)} companies were erased.")
    except EraseNotConfirmed:
        sys.exit("Nothing was done.")
    finally:
        door.reset()
