"""Vectors as bytes: checked, brought to length one, and spelled as PostgreSQL's extension spells them."""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Sequence
from typing import Final

from tenantry.archive.encoding import single_text
from tenantry.errors import VectorRefused

_LEAST_FIRST: Final = sys.byteorder == "little"


def unit(values: Sequence[float], *, dimensions: int, what: str) -> bytes:
    """Returns a vector of length one in the same direction, as a store keeps it.

    Raises: VectorRefused for one of another size, one that has no direction, and for what are no numbers.
    """
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        raise VectorRefused(what=what, reason="it is no sequence of numbers.") from None
    if len(numbers) != dimensions:
        raise VectorRefused(what=what, reason=f"it has {len(numbers)} dimensions where {dimensions} belong.")
    length = math.hypot(*numbers)
    if not math.isfinite(length) or not length:
        raise VectorRefused(what=what, reason="it has no direction: all is nought, or something is not finite.")
    # Nought has no sign in SQL.
    return to_bytes([number / length + 0.0 for number in numbers])


def to_bytes(numbers: Sequence[float]) -> bytes:
    """Returns numbers as 32-bit floats, least byte first."""
    packed = array.array("f", numbers)
    if not _LEAST_FIRST:
        packed.byteswap()
    return packed.tobytes()


def from_bytes(kept: bytes) -> array.array[float]:
    """Returns the numbers that ``to_bytes`` packed."""
    packed = array.array("f")
    packed.frombytes(kept)
    if not _LEAST_FIRST:
        packed.byteswap()
    return packed


def spelled(kept: bytes) -> str:
    """Returns a vector as text that PostgreSQL reads as the same numbers, quickly made."""
    return f"[{','.join(map(repr, from_bytes(kept)))}]"


def canonical(kept: bytes) -> str:
    """Returns a vector as PostgreSQL writes it."""
    return f"[{','.join(map(single_text, from_bytes(kept)))}]"


def parsed(text: str) -> bytes:
    """Returns the vector of a text that PostgreSQL wrote."""
    return to_bytes([float(number) for number in text.strip("[]").split(",")])
