"""The histories with which fleets are tried, by name."""

from __future__ import annotations

from typing import Any, Final

from .plain import PlainHistory

HISTORIES: Final[dict[str, Any]] = {"plain": PlainHistory}
