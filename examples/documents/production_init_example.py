"""The first set-up of a production database, and a check of its health.

POSTGRES_* is the owner's login, which makes everything and serves no request. The URL of the login by which the
application runs is printed once: keep it where your secrets are.
"""

import sys

from tenantry import Tenancy
from tenantry.doctor import examine
from tenantry.fleet import Fleet
from tenantry.observe.health import Health
from tenantry.packs.documents import Documents, DocumentsBase, PostgresConnectionConfig


def set_up(owner: PostgresConnectionConfig, *, login: str = "documents_app") -> str:
    """Makes catalog, roles, tables and walls, and a login for the application; returns its URL."""
    tenancy = Tenancy(owner.url, models=DocumentsBase, owner_url=owner.url)
    documents = Documents(tenancy)
    try:
        tenancy.install()
        outcome = Fleet(tenancy, documents.history()).upgrade()
        if not outcome.ok:
            raise SystemExit(f"not migrated: {[work.error for work in outcome.failed]}")
        return tenancy.create_login(login)
    finally:
        tenancy.close()


def check(url: str, owner: PostgresConnectionConfig) -> bool:
    """Says whether the database answers, and what the doctor finds."""
    tenancy = Tenancy(url, models=DocumentsBase, owner_url=owner.url)
    Documents(tenancy)
    try:
        healthy = Health(tenancy).check_server("main").ok
        findings = examine(tenancy).findings
        for finding in findings:
            print(finding)
        return healthy and not findings
    finally:
        tenancy.close()


def main() -> None:
    owner = PostgresConnectionConfig.from_env()
    url = set_up(owner)
    print(f"TENANTRY_URL={url}")
    tenancy = Tenancy(url, models=DocumentsBase, owner_url=owner.url)
    documents = Documents(tenancy)
    try:
        tenancy.tenants.create("acme", record={"name": "Acme"})
        with tenancy.transaction("acme") as session:
            print(f"{documents.documents(session).count()} documents of {session.tenant.name}.")
    finally:
        tenancy.close()
    sys.exit(0 if check(url, owner) else 1)


if __name__ == "__main__":
    main()
