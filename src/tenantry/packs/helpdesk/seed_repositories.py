"""Repositories by the names of the document: of a session, or of a company, and then each call is a unit of work."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, overload

from sqlalchemy.orm import Session

from tenantry.packs.helpdesk import repositories, repositories_knowledge

if TYPE_CHECKING:
    from tenantry.packs.helpdesk.aio import AsyncConversationRepository, AsyncTicketRepository
    from tenantry.packs.helpdesk.seed_units import CompanyObjects


class TicketRepository(repositories.TicketRepository):
    """The company's tickets: ``TicketRepository(session)``, or awaited, ``TicketRepository("wedosoft", "freshdesk")``.

    With neither it is awaited too, and takes the request's company.
    """

    @overload
    def __new__(cls, session: Session, /) -> TicketRepository: ...
    @overload
    def __new__(cls, tenant_id: Any = None, platform: str | None = None) -> AsyncTicketRepository: ...  # type: ignore[misc]  # the awaited face is no subclass
    def __new__(cls, *given: Any, **named: Any) -> Any:
        return _made(cls, "aio.AsyncTicketRepository", given, named)


class ConversationRepository(repositories.ConversationRepository):
    """What was said about the company's tickets: of a session, or awaited, of a company or of the request's."""

    @overload
    def __new__(cls, session: Session, /) -> ConversationRepository: ...
    @overload
    def __new__(cls, tenant_id: Any = None, platform: str | None = None) -> AsyncConversationRepository: ...  # type: ignore[misc]  # as above
    def __new__(cls, *given: Any, **named: Any) -> Any:
        return _made(cls, "aio.AsyncConversationRepository", given, named)


class IntegratedObjectRepository(repositories_knowledge.IntegratedObjectRepository):
    """Objects of every kind: of a session, or awaited, of a company, of the request's, or of that which data name."""

    @overload
    def __new__(cls, session: Session, /) -> IntegratedObjectRepository: ...
    @overload
    def __new__(cls, tenant_id: Any = None, platform: str | None = None) -> CompanyObjects: ...  # type: ignore[misc]  # as above
    def __new__(cls, *given: Any, **named: Any) -> Any:
        return _made(cls, "seed_units.CompanyObjects", given, named)


def _made(cls: type[Any], awaited: str, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
    first = given[0] if given else named.get("session")
    if isinstance(first, Session):
        return object.__new__(cls)
    module, _, name = awaited.partition(".")
    # Needs greenlet, which a session's own repositories do not.
    kind = getattr(importlib.import_module(f"tenantry.packs.helpdesk.{module}"), name)
    return kind(first) if hasattr(first, "run_sync") else kind(_calls(*given, **named))


def _calls(tenant_id: Any = None, platform: str | None = None) -> Any:
    units = importlib.import_module("tenantry.packs.helpdesk.seed_units")
    return units.calls(tenant_id, platform)
