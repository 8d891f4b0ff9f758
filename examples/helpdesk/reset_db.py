"""Erases every company of a development database: python reset_db.py --yes."""

import sys

from tenantry.packs.helpdesk import helpdesk_tenancy

if __name__ == "__main__":
    if sys.argv[1:] != ["--yes"]:
        sys.exit("This erases every company. Say so: python reset_db.py --yes")
    tenancy = helpdesk_tenancy()
    slugs = [tenant.slug for tenant in tenancy.every_tenant()]
    for slug in slugs:
        tenancy.tenants.erase(slug, confirm=slug)
    print(f"{len(slugs)} companies erased.")
    tenancy.close()
