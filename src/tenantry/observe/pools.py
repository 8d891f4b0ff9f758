"""What the pools of one server hold in this process."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.isolation.engines import checked_in, checked_out
from tenantry.isolation.servers import Server


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The connections of this process to one server; *most* is how many each of its pools may have."""

    server: str
    engines: int
    in_use: int
    idle: int
    most: int


def pools(server: Server) -> PoolStatus:
    """Returns what the pools of a server hold, of both doors together."""
    engines, config = server.engines.standing(), server.config
    return PoolStatus(
        server=server.name,
        engines=len(engines),
        in_use=sum(checked_out(engine) for engine in engines),
        idle=sum(checked_in(engine) for engine in engines),
        most=config.pool_size + config.max_overflow,
    )
