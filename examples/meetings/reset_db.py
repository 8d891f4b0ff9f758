"""Erases every workspace with all its rows. Says which first, and does it with --yes."""

from __future__ import annotations

import sys

from app import tenancy

if __name__ == "__main__":
    tenants = list(tenancy.every_tenant())
    print(f"{len(tenants)} workspaces: {', '.join(tenant.slug for tenant in tenants) or 'none'}")
    if "--yes" in sys.argv:
        for tenant in tenants:
            tenancy.tenants.erase(tenant, confirm=tenant.slug)
        print("Erased.")
    elif tenants:
        print("Nothing was changed. With --yes they are erased.")
    tenancy.close()
