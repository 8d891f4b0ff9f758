"""Loads companies to try: made up, or with a directory of real files, those in it. Loading twice adds nothing."""

from __future__ import annotations

import sys

from tenantry.packs.assistant import door, initialize_primary_database
from tenantry.packs.assistant.samples import generated, read
from tenantry.samples import load

if __name__ == "__main__":
    made = initialize_primary_database()
    if made is not None and made.password is not None:
        print(f"The super admin is {made.name!r}. This password is shown once, for choosing another: {made.password}")
    for sample in read(sys.argv[1]) if len(sys.argv) > 1 else generated():
        print(f"{sample.slug}: {load(door.tenancy, sample)} of {sample.size} rows added")
    door.pack.prepare()
    door.reset()
