"""What happens inside long operations, told to whoever listens: progress bars, logs, and the tests' crash hooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a long operation, told before it is done."""

    operation: str
    name: str
    facts: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Step], None]

_listeners: list[Listener] = []


def listen(listener: Listener) -> Callable[[], None]:
    """Has *listener* told of every step from now on; calling what is returned ends that."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def announce(operation: str, name: str, **facts: Any) -> None:
    """Tells every listener of one step."""
    for listener in tuple(_listeners):
        listener(Step(operation, name, facts))
