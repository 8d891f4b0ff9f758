"""Loads sample tenants: python add_sample_data.py [DIRECTORY of real event logs]."""

import sys

from tenantry.packs.incidents import incidents_tenancy
from tenantry.packs.incidents.samples import generated, read
from tenantry.samples import load_all

if __name__ == "__main__":
    tenancy = incidents_tenancy()
    found = read(sys.argv[1]) if len(sys.argv) > 1 else generated()
    added = load_all(tenancy, found)
    print(f"{added} rows added in {len(found)} tenants: {', '.join(sample.slug for sample in found)}.")
    tenancy.close()
