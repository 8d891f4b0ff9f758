"""The HTTP routes of the assistant: ``application(tenancy, [router(assistant)], …, public=PUBLIC)`` serves them."""

from tenantry.errors import ExtraMissing

try:
    from fastapi import APIRouter
except ImportError as error:
    raise ExtraMissing(module="tenantry.packs.assistant.http", extra="web") from error

from tenantry.access import Access
from tenantry.packs.assistant import http_chats, http_documents, http_people, http_reports
from tenantry.packs.assistant.http_people import PUBLIC
from tenantry.packs.assistant.pack import Assistant

__all__ = ["PUBLIC", "router"]

_PARTS = (
    http_people.log_ins,
    http_people.users,
    http_people.companies,
    http_documents.documents,
    http_documents.library,
    http_documents.search,
    http_chats.conversations,
    http_chats.messages,
    http_chats.agents,
    http_reports.reports,
    http_reports.usage,
    http_reports.profile,
)


def router(pack: Assistant, *, access: Access | None = None, prefix: str = "") -> APIRouter:
    """Returns the routes of the assistant: each asks for a permission, and for the company that the token is for.

    ``PUBLIC`` are the paths at which nobody is asked, below *prefix*: those of the log-in. *access* is the pack's own
    unless another is given.
    """
    routes = APIRouter(prefix=prefix)
    for add in _PARTS:
        add(routes, pack, access or pack.access)
    return routes
