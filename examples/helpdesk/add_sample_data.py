"""Loads sample companies: python add_sample_data.py [DIRECTORY of real help-desk logs]."""

import sys
from pathlib import Path

from tenantry.packs.helpdesk import helpdesk_tenancy
from tenantry.packs.helpdesk.samples import generated, read
from tenantry.samples import load_all

if __name__ == "__main__":
    tenancy = helpdesk_tenancy()
    found = read(Path(sys.argv[1])) if len(sys.argv) > 1 else generated(tenants=4)
    added = load_all(tenancy, found)
    print(f"{added} rows added in {len(found)} companies: {', '.join(sample.slug for sample in found)}.")
    tenancy.close()
