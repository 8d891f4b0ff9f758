"""Rates counted in Redis, by a script that follows the same rule as the database."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from tenantry.errors import ExtraMissing, RatesUnavailable
from tenantry.limits.rate_statements import Ask
from tenantry.limits.rules import Limit, State
from tenantry.session.core import TenantSession
from tenantry.session.routes import Route

try:
    import redis
    from redis import asyncio as redis_aio
    from redis.asyncio.retry import Retry as AsyncRetry
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    raise ExtraMissing(module="The Redis store of rates", extra="redis") from error

if TYPE_CHECKING:
    from tenantry.session.aio import AsyncTenantSession

# What this is in the database is said in rules.step. Numbers stay below 2^53, where Lua's are exact.
SCRIPT: Final = """
local weight, room, span, looking = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local held = redis.call('HMGET', KEYS[1], 'used', 'until', 'seen')
local used, ends = tonumber(held[1] or 0), tonumber(held[2] or 0)
now = math.max(now, tonumber(held[3] or 0))
local granted
if span == 0 then
  ends = math.max(ends, now)
  granted = ends + weight - now <= room
  if granted and not looking then ends = ends + weight end
else
  if ends <= now then used, ends = 0, now - now % span + span end
  granted = used + weight <= room
  if granted and not looking then used = used + weight end
end
if not looking then
  local function digits(number) return string.format('%.0f', number) end
  redis.call('HSET', KEYS[1], 'used', digits(used), 'until', digits(ends), 'seen', digits(now))
  redis.call('PEXPIRE', KEYS[1], math.ceil((ends - now) / 1000) + 1000)
end
return {used, ends, now, granted and 1 or 0}
"""


class RedisStore:
    """Counts in one Redis, or in a cluster; what was granted stands, whatever becomes of anybody's transaction.

    Args:
        url: ``redis://…``, ``rediss://…`` or ``unix://…``.
        cluster: whether the URL names a node of a cluster; all keys of one tenant stand on one node.
        prefix: what every key begins with.
        timeout: how many seconds an answer may take before the store counts as down.

    Raises: ValueError for another kind of URL, at the first call.
    """

    def __init__(self, url: str, *, cluster: bool = False, prefix: str = "tenantry", timeout: float = 1.0) -> None:
        self._url = url
        self._cluster = cluster
        self._prefix = prefix
        self._options = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        self._script: Any = None
        self._scripts: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"RedisStore(prefix={self._prefix!r})"

    def decide(self, at: Route | TenantSession, ask: Ask) -> State:
        with _reachable(ask):
            return _state(self._here()(keys=[self._key(ask)], args=_arguments(ask)))

    def forget(self, at: Route | TenantSession, ask: Ask) -> None:
        with _reachable(ask):
            self._here().registered_client.delete(self._key(ask))

    async def decide_async(self, at: Route | AsyncTenantSession, ask: Ask) -> State:
        with _reachable(ask):
            return _state(await self._in_loop()(keys=[self._key(ask)], args=_arguments(ask)))

    async def forget_async(self, at: Route | AsyncTenantSession, ask: Ask) -> None:
        with _reachable(ask):
            await self._in_loop().registered_client.delete(self._key(ask))

    def close(self) -> None:
        """Closes the connections of the synchronous door."""
        if self._script is not None:
            self._script.registered_client.close()
            self._script = None

    async def aclose(self) -> None:
        """Closes the connections of the running event loop."""
        script = self._scripts.pop(asyncio.get_running_loop(), None)
        if script is not None:
            await script.registered_client.aclose()

    def _here(self) -> Any:
        if self._script is None:
            # A call that was sent twice would be counted twice.
            kind: Any = redis.RedisCluster if self._cluster else redis.Redis
            client = kind.from_url(self._url, retry=Retry(NoBackoff(), 0), **self._options)
            self._script = client.register_script(SCRIPT)
        return self._script

    def _in_loop(self) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._scripts:
            kind: Any = redis_aio.RedisCluster if self._cluster else redis_aio.Redis
            client = kind.from_url(self._url, retry=AsyncRetry(NoBackoff(), 0), **self._options)
            self._scripts[loop] = client.register_script(SCRIPT)
        return self._scripts[loop]

    def _key(self, ask: Ask) -> str:
        # What stands in braces chooses the node of a cluster.
        return f"{self._prefix}:{{{ask.tenant.hex}}}:rate:{ask.rule.key}:{ask.resource}"


def _arguments(ask: Ask) -> list[int]:
    rule = ask.rule
    span = rule.span if isinstance(rule, Limit) else 0
    return [ask.weight, rule.weight(rule.capacity), span, int(ask.looking)]


def _state(answer: list[int]) -> State:
    used, until, seen, granted = answer
    return State(used, until, seen, bool(granted))


@contextlib.contextmanager
def _reachable(ask: Ask) -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise RatesUnavailable(resource=ask.resource, reason=f"{type(error).__name__}.") from error
