"""``@track_metrics``: how often a function is called, how long it takes, how often it fails, and for which tenant."""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, ParamSpec, TypeVar, overload

from tenantry.observe.metrics import METRICS, NOBODY, Metrics
from tenantry.types import Tenant

P = ParamSpec("P")
R = TypeVar("R")

SLOW_SECONDS: Final = 1.0

_log: Final = logging.getLogger("tenantry.slow")


@overload
def track_metrics(function: Callable[P, R]) -> Callable[P, R]: ...
@overload
def track_metrics(
    *, name: str | None = None, metrics: Metrics = METRICS, slow_threshold_s: float = SLOW_SECONDS
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def track_metrics(
    function: Callable[P, R] | None = None,
    *,
    name: str | None = None,
    metrics: Metrics = METRICS,
    slow_threshold_s: float = SLOW_SECONDS,
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Has the calls of a function counted and timed, plain or ``async def``; a session among what it gets tells whose.

    Args:
        name: under what it is counted; without it, by its module and name.
        slow_threshold_s: a call that takes as long is logged.
    """

    def tracked(inner: Callable[P, R]) -> Callable[P, R]:
        called = name or f"{inner.__module__}.{inner.__qualname__}"
        measure = functools.partial(_measured, metrics, called, slow_threshold_s)
        if inspect.iscoroutinefunction(inner):

            @functools.wraps(inner)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                with measure(args, kwargs):
                    return await inner(*args, **kwargs)

            return awaited  # type: ignore[return-value]  # a coroutine function again, as *inner* is

        @functools.wraps(inner)
        def plain(*args: P.args, **kwargs: P.kwargs) -> R:
            with measure(args, kwargs):
                return inner(*args, **kwargs)

        return plain

    return tracked if function is None else tracked(function)


@contextmanager
def _measured(
    metrics: Metrics, name: str, threshold: float, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[None]:
    failed, begun = True, time.perf_counter()
    try:
        yield
        failed = False
    finally:
        seconds, slug = time.perf_counter() - begun, _slug_of(args, kwargs)
        metrics.count_call(name, slug, seconds, failed=failed)
        if seconds >= threshold:
            facts = {"event": "slow_call", "call": name, "tenant": slug, "seconds": round(seconds, 6)}
            _log.warning("Slow call of %s: %.3f s", name, seconds, extra={"tenantry": facts})


def _slug_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    for value in (*args, *kwargs.values()):
        tenant = value if isinstance(value, Tenant) else getattr(value, "tenant", None)
        if isinstance(tenant, Tenant):
            return tenant.slug
    return NOBODY
