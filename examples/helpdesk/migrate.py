"""Brings the database that the environment names to the newest tables: python migrate.py [logins]."""

import os
import sys

from tenantry.fleet import Fleet
from tenantry.packs.helpdesk import helpdesk_tenancy


def make_logins() -> None:
    """Makes the logins of the app and the platform, by the owner's, and prints their URLs."""
    os.environ["TENANTRY_URL"] = os.environ["TENANTRY_OWNER_URL"]
    tenancy = helpdesk_tenancy()
    tenancy.install()
    print("TENANTRY_URL=" + tenancy.create_login("helpdesk_app"))
    print("TENANTRY_PLATFORM_URL=" + tenancy.create_login("helpdesk_platform", role="platform"))
    tenancy.close()


def migrate() -> None:
    """Brings every company's tables to the newest revision."""
    tenancy = helpdesk_tenancy()
    tenancy.install()
    outcome = Fleet(tenancy).upgrade()
    print(f"{outcome.run.target}: {outcome.run.state}.")
    tenancy.close()


if __name__ == "__main__":
    make_logins() if sys.argv[1:] == ["logins"] else migrate()
