"""Copying no faster than was allowed, so that those who use the same disks and wires are left their share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator


class Throttle:
    """Lets so many bytes through in a second, over all that goes through it."""

    def __init__(
        self,
        rate: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._begun = clock()
        self._passed = 0

    def through(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yields chunks, each when its time has come."""
        for chunk in chunks:
            yield chunk
            self._passed += len(chunk)
            if self._rate is not None:
                ahead = self._passed / self._rate - (self._clock() - self._begun)
                if ahead > 0:
                    self._sleep(ahead)
