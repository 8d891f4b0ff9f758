"""What happens inside long operations, told to whoever listens: progress bars, logs, and the tests' crash hooks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a long operation, told before it is done."""

    operation: str
    name: str
    facts: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Step], None]

# Called with the name of a long operation; what it returns is entered before it begins and left when it is over.
Watcher = Callable[[str], AbstractContextManager[object]]

_listeners: list[Listener] = []
_watchers: list[Watcher] = []


def listen(listener: Listener) -> Callable[[], None]:
    """Has *listener* told of every step from now on; calling what is returned ends that."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def announce(operation: str, name: str, **facts: Any) -> None:
    """Tells every listener of one step."""
    for listener in tuple(_listeners):
        listener(Step(operation, name, facts))


def watch(watcher: Watcher) -> Callable[[], None]:
    """Has *watcher* put around every long operation from now on; calling what is returned ends that."""
    _watchers.append(watcher)
    return lambda: _watchers.remove(watcher)


def watched(operation: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a function a long operation of this name."""

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def around(*args: P.args, **kwargs: P.kwargs) -> R:
            if not _watchers:
                return function(*args, **kwargs)
            with ExitStack() as stack:
                for watcher in tuple(_watchers):
                    stack.enter_context(watcher(operation))
                return function(*args, **kwargs)

        return around

    return wrap
