"""The HTTP application: uvicorn app:app; AWFDRS_TOKEN_KEY holds at least 32 bytes in hexadecimal."""

import os

from tenantry.access import TokenKey, Tokens
from tenantry.packs.incidents import ROLES, Incidents, incidents_tenancy, router
from tenantry.web import application

tenancy = incidents_tenancy()
incidents = Incidents(tenancy)
tokens = Tokens(
    [TokenKey("first", bytes.fromhex(os.environ["AWFDRS_TOKEN_KEY"]))],
    issuer="https://id.example.com",
    audience="incidents",
    roles=ROLES,
)
app = application(tenancy, [router(incidents)], tokens=tokens, title="Incidents")
