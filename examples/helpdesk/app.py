"""The HTTP application: uvicorn app:app; HELPDESK_TOKEN_KEY holds at least 32 bytes in hexadecimal."""

import os

from tenantry.access import TokenKey, Tokens
from tenantry.packs.helpdesk import DESK_ROLES, door, helpdesk_tenancy, router
from tenantry.web import application

tenancy = helpdesk_tenancy()
tokens = Tokens(
    [TokenKey("first", bytes.fromhex(os.environ["HELPDESK_TOKEN_KEY"]))],
    issuer="https://id.example.com",
    audience="helpdesk",
    roles=DESK_ROLES,
)
app = application(tenancy, [router(door.pack)], tokens=tokens, title="Helpdesk")
