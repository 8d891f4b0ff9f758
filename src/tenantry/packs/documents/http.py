"""HTTP."""

from typing import Any


def router(*_: Any) -> None: ...
