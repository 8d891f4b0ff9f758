"""Engines and bindings of what belongs to no tenant: the operator's look across all, and the platform's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.engine import Engine

from tenantry.isolation.binding import UNBOUND, Binding
from tenantry.isolation.postgres import OPERATOR, PLATFORM, PostgresServer
from tenantry.isolation.servers import Server

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_ACROSS = "Looking across tenants"
_PLATFORM = "Opening the platform's tables"


def operator_engine(server: Server) -> tuple[Engine, Binding]:
    """Returns what a session across a server's tenants runs on.

    Raises: LoginRequired.
    """
    if isinstance(server, PostgresServer):
        return server.engine(OPERATOR, action=_ACROSS), server.unbound(OPERATOR)
    return server.operator_engine(), UNBOUND


def platform_engine(server: Server) -> tuple[Engine, Binding]:
    """Returns what a session on a server's Platform and Shared tables runs on.

    Raises: LoginRequired.
    """
    if isinstance(server, PostgresServer):
        return server.engine(PLATFORM, action=_PLATFORM), server.unbound(PLATFORM)
    return server.platform_engine(), UNBOUND


def async_operator_engine(server: Server) -> tuple[AsyncEngine, Binding]:
    """Returns the first of them for the running event loop.

    Raises: LoginRequired.
    """
    if isinstance(server, PostgresServer):
        return server.async_engine(OPERATOR, action=_ACROSS), server.unbound(OPERATOR)
    return server.async_operator_engine(), UNBOUND


def async_platform_engine(server: Server) -> tuple[AsyncEngine, Binding]:
    """Returns the second for the running event loop.

    Raises: LoginRequired.
    """
    if isinstance(server, PostgresServer):
        return server.async_engine(PLATFORM, action=_PLATFORM), server.unbound(PLATFORM)
    return server.async_platform_engine(), UNBOUND
