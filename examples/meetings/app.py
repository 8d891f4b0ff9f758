"""The meetings as an application: `uvicorn app:app`, and `tenantry` for everything else."""

from __future__ import annotations

import os

from dotenv import load_dotenv

from tenantry import Tenancy
from tenantry.access import TokenKey, Tokens
from tenantry.packs.meetings import ROLES, Meetings, MeetingsBase, door, router
from tenantry.web import application

load_dotenv()

tenancy = Tenancy.from_env(models=MeetingsBase)
meetings = Meetings(tenancy)
door.use(tenancy, meetings)

KEY = os.environ.get("MEETINGS_TOKEN_KEY")
# A key that is made up is gone with the process, and with it every token.
tokens = Tokens(
    [TokenKey.read("example", KEY) if KEY else TokenKey.new("example")],
    issuer="https://id.example.com",
    audience="meetings",
    roles=ROLES,
)
app = application(tenancy, [router(meetings)], tokens=tokens, title="Meetings")
