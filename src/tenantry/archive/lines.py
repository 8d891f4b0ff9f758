"""Chunks of bytes that end where a line ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator


def whole_lines(
    chunks: Iterable[bytes], *, refuse: Callable[[str], Exception], longest: int | None = None
) -> Iterator[bytes]:
    """Yields the same bytes in chunks that each end with a line.

    Raises: what *refuse* makes of the reason, for a line longer than *longest* and for one that has no end.
    """
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join([*waiting, chunk[:end]])
            waiting, size = [], 0
        waiting.append(chunk[end:])
        size += len(chunk) - end
        if longest is not None and size > longest:
            raise refuse(f"a row has more than {longest} bytes")
    if size:
        raise refuse("the last row is cut")
