"""Results in Redis, which every process sees alike: the same steps as in memory, each a script of its own."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import uuid
import weakref
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from sqlalchemy.util import await_only

from tenantry.cache.stores import Answer, Entry, Look, names_person
from tenantry.cache.waiting import in_event_loop
from tenantry.errors import CacheUnavailable, ExtraMissing

try:
    import redis
    from redis import asyncio as redis_aio
except ImportError as error:
    raise ExtraMissing(module="The Redis store of results", extra="redis") from error

# A number that went missing, evicted or expired, is made anew: what was kept under it is missed, never found wrongly.
_LOOK: Final = """
local count = (#KEYS - 2) / 2
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for each = 3, 2 + count do
  redis.call('ZREMRANGEBYSCORE', KEYS[each + count], '-inf', now)
  if redis.call('ZCARD', KEYS[each + count]) > 0 then return {'closed', '', ''} end
end
local numbers = {}
for each = 3, 2 + count do
  local number = redis.call('GET', KEYS[each])
  if not number then
    number = ARGV[1]
    redis.call('SET', KEYS[each], number, 'PX', ARGV[2])
  end
  numbers[#numbers + 1] = number
end
local token = table.concat(numbers, ' ')
local kept = redis.call('HMGET', KEYS[1], 'token', 'value')
if kept[1] == token then return {'hit', token, kept[2]} end
local lead = redis.call('HGET', KEYS[2], 'token')
if ARGV[3] ~= '0' and lead ~= token then
  redis.call('HSET', KEYS[2], 'token', token, 'lease', ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
  return {'lead', token, ''}
end
return {'wait', token, ''}
"""
_FILL: Final = """
if redis.call('HGET', KEYS[2], 'lease') == ARGV[1] then redis.call('DEL', KEYS[2]) end
local count = (#KEYS - 2) / 2
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local numbers = {}
for each = 3, 2 + count do
  if redis.call('ZCOUNT', KEYS[each + count], '(' .. now, '+inf') > 0 then return 0 end
  numbers[#numbers + 1] = redis.call('GET', KEYS[each]) or ''
end
if table.concat(numbers, ' ') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'token', ARGV[2], 'value', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""
_ABANDON: Final = """
if redis.call('HGET', KEYS[1], 'lease') == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""
_CLOSE: Final = """
local count = #KEYS / 2
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for each = 1, count do
  redis.call('DEL', KEYS[each])
  redis.call('ZADD', KEYS[each + count], now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[each + count], math.max(ARGV[2], redis.call('PTTL', KEYS[each + count])))
end
"""
_OPEN: Final = """
local count = #KEYS / 2
for each = 1, count do
  redis.call('DEL', KEYS[each])
  redis.call('ZREM', KEYS[each + count], ARGV[1])
end
"""
# What Redis takes for a pattern in a prefix that holds it, and the same as it is meant.
_PATTERN: Final = re.compile(r"[*?\[\]\\^]")
_ESCAPED: Final = r"\\\g<0>"
_SCRIPTS: Final = (_LOOK, _FILL, _ABANDON, _CLOSE, _OPEN)
_NUMBERS_LAST: Final = 7 * 24 * 3600 * 1000


class RedisStore:
    """Keeps results in one Redis, or in a cluster, for every process that is given the same prefix.

    Args:
        url: ``redis://…``, ``rediss://…`` or ``unix://…``.
        cluster: whether the URL names a node of a cluster; all keys of one tenant stand on one node.
        prefix: what every key begins with; two installations never share one.
        timeout: how many seconds an answer may take before the store counts as down.

    Raises: ValueError for another kind of URL, at the first call.
    """

    def __init__(self, url: str, *, cluster: bool = False, prefix: str = "tenantry", timeout: float = 1.0) -> None:
        self._url = url
        self._cluster = cluster
        self._prefix = prefix
        self._options = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        self._here: dict[str, Any] = {}
        self._in_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Any]] = (
            weakref.WeakKeyDictionary()
        )

    def __repr__(self) -> str:
        return f"RedisStore(prefix={self._prefix!r})"

    def look(self, entry: Entry, *, lead_for: float) -> Look:
        lease = uuid.uuid4().hex
        said = self._run(_LOOK, self._keys_of(entry), [lease, _NUMBERS_LAST, round(lead_for * 1000)])
        answer, token, value = Answer(said[0].decode()), said[1].decode(), said[2]
        return Look(answer, token, lease if answer is Answer.LEAD else "", value)

    def fill(self, entry: Entry, look: Look, value: bytes, *, ttl: float) -> bool:
        arguments = [look.lease, look.token, value, max(1, round(ttl * 1000))]
        return bool(self._run(_FILL, self._keys_of(entry), arguments))

    def abandon(self, entry: Entry, look: Look) -> None:
        self._run(_ABANDON, [self._keys_of(entry)[1]], [look.lease])

    def close(self, tenant: uuid.UUID, tags: Collection[str], *, writer: str, seconds: float) -> None:
        self._run(_CLOSE, self._keys_of_tags(tenant, sorted(tags)), [writer, round(seconds * 1000)])

    def open(self, tenant: uuid.UUID, tags: Collection[str], *, writer: str) -> None:
        self._run(_OPEN, self._keys_of_tags(tenant, sorted(tags)), [writer])

    def forget(self, tenant: uuid.UUID, subject: Collection[str] | None) -> int:
        if in_event_loop():
            return int(await_only(asyncio.to_thread(self.forget, tenant, subject)))
        with _reachable():
            client = self._scripts_here()[_LOOK].registered_client
            named = 0
            # The numbers first: whoever loads at this moment must not fill afterwards.
            for kind in ("number", "result", "lead"):
                for key in client.scan_iter(match=f"{_PATTERN.sub(_ESCAPED, self._base(tenant))}:{kind}:*", count=1000):
                    value = client.hget(key, "value") if kind == "result" else None
                    named += bool(client.delete(key)) and value is not None and names_person(value, subject)
            return named

    def close_connections(self) -> None:
        """Closes the connections of the synchronous door."""
        if self._here:
            self._here.pop(_LOOK).registered_client.close()
            self._here = {}

    async def close_connections_async(self) -> None:
        """Closes the connections of the running event loop."""
        scripts = self._in_loop.pop(asyncio.get_running_loop(), None)
        if scripts is not None:
            await scripts[_LOOK].registered_client.aclose()

    def _run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        with _reachable():
            if in_event_loop():
                return await_only(self._scripts_in_loop()[script](keys=keys, args=arguments))
            return self._scripts_here()[script](keys=keys, args=arguments)

    def _scripts_here(self) -> dict[str, Any]:
        if not self._here:
            kind: Any = redis.RedisCluster if self._cluster else redis.Redis
            client = kind.from_url(self._url, **self._options)
            self._here = {script: client.register_script(script) for script in _SCRIPTS}
        return self._here

    def _scripts_in_loop(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        if loop not in self._in_loop:
            kind: Any = redis_aio.RedisCluster if self._cluster else redis_aio.Redis
            client = kind.from_url(self._url, **self._options)
            self._in_loop[loop] = {script: client.register_script(script) for script in _SCRIPTS}
        return self._in_loop[loop]

    def _base(self, tenant: uuid.UUID) -> str:
        # What stands in braces chooses the node of a cluster.
        return f"{self._prefix}:{{{tenant.hex}}}:cache"

    def _keys_of(self, entry: Entry) -> list[str]:
        base = self._base(entry.tenant)
        here = [f"{base}:result:{entry.place}", f"{base}:lead:{entry.place}"]
        return here + self._keys_of_tags(entry.tenant, entry.tags)

    def _keys_of_tags(self, tenant: uuid.UUID, tags: Sequence[str]) -> list[str]:
        # A tag may hold anything, a person's name as well.
        base, names = self._base(tenant), [hashlib.blake2b(tag.encode(), digest_size=12).hexdigest() for tag in tags]
        return [f"{base}:{kind}:{name}" for kind in ("number", "closed") for name in names]


@contextlib.contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise CacheUnavailable(reason=f"{type(error).__name__}.") from error
