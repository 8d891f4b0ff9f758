"""Makes the primary database, and, with the names of companies, these with a database each. Doing it again is safe."""

from __future__ import annotations

import sys

from tenantry.packs.assistant import door, initialize_primary_database

if __name__ == "__main__":
    made = initialize_primary_database()
    if made is not None and made.password is not None:
        print(f"The super admin is {made.name!r}. This password is shown once, for choosing another: {made.password}")
    known = {company.name for company in door.pack.companies.list(limit=1000)}
    for name in sys.argv[1:]:
        if name not in known:
            company = door.pack.companies.create(name)
            print(f"{company.name}: company {company.id}")
    door.reset()
