"""Erases every tenant of a development database: python reset_db.py --yes."""

import sys

from tenantry.packs.incidents import incidents_tenancy

if __name__ == "__main__":
    if sys.argv[1:] != ["--yes"]:
        sys.exit("This erases every tenant. Say so: python reset_db.py --yes")
    tenancy = incidents_tenancy()
    slugs = [tenant.slug for tenant in tenancy.every_tenant()]
    for slug in slugs:
        tenancy.tenants.erase(slug, confirm=slug)
    print(f"{len(slugs)} tenants erased.")
    tenancy.close()
