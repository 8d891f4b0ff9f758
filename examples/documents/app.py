"""The HTTP application: ``uvicorn app:app``; DOCUMENTS_TOKEN_KEY holds at least 32 bytes in hexadecimal."""

import os

from tenantry import Tenancy
from tenantry.access import TokenKey, Tokens
from tenantry.cache.memory import MemoryStore
from tenantry.packs.documents import ROLES, Documents, DocumentsBase, router
from tenantry.web.applications import application

tenancy = Tenancy.from_env(DocumentsBase)
documents = Documents(tenancy, store=MemoryStore())
tokens = Tokens(
    [TokenKey("first", bytes.fromhex(os.environ["DOCUMENTS_TOKEN_KEY"]))],
    issuer="https://id.example.com",
    audience="documents",
    roles=ROLES,
)
app = application(tenancy, [router(documents)], tokens=tokens, title="Documents")
