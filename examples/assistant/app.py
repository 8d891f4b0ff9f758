"""The assistant as an application: `uvicorn app:app`, and `tenantry` for everything else."""

from __future__ import annotations

import os

from tenantry.access import TokenKey, Tokens
from tenantry.packs.assistant import MIGRATIONS, PUBLIC, Assistant, AssistantBase, router, use
from tenantry.tenancy import Tenancy
from tenantry.web import application

tenancy = Tenancy.from_env(models=AssistantBase)
tenancy.lend_migrations(MIGRATIONS)

KEY = os.environ.get("ASSISTANT_TOKEN_KEY")
# A key that is made up is gone with the process, and with it every token.
tokens = Tokens(
    [TokenKey.read("example", KEY) if KEY else TokenKey.new("example")],
    issuer="https://assistant.example.com",
    audience="assistant",
)
assistant = Assistant(tenancy, tokens=tokens)
use(assistant)

app = application(
    tenancy, [router(assistant)], tokens=tokens, access=assistant.access, title="Assistant", public=PUBLIC
)
