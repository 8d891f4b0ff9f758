"""Loads workspaces to try: made up, or with a directory of real files, those in it. Loading twice adds nothing."""

from __future__ import annotations

import sys

from app import meetings, tenancy

from tenantry.packs.meetings.samples import generated, read
from tenantry.samples import load

if __name__ == "__main__":
    samples = read(sys.argv[1]) if len(sys.argv) > 1 else generated(tenants=3, rows=50)
    for sample in samples:
        print(f"{sample.slug}: {load(tenancy, sample)} of {sample.size} rows added")
    meetings.prepare()
    tenancy.close()
