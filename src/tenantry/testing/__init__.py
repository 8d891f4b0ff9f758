"""The test kit: fixtures for pytest, and the suites that try an application's own models and its own API.

The fixtures come with the plugin, which pytest finds by itself; nothing is started or imported before one is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenantry.observe.counting import count_statements
    from tenantry.testing.apps import Caller, assert_app_isolated
    from tenantry.testing.doors import Door, door
    from tenantry.testing.grounds import Ground, ground
    from tenantry.testing.leaks import assert_isolated
    from tenantry.testing.making import Maker
    from tenantry.testing.rebinding import rebound
    from tenantry.testing.undoing import undone, undone_async

__all__ = [
    "Caller",
    "Door",
    "Ground",
    "Maker",
    "assert_app_isolated",
    "assert_isolated",
    "count_statements",
    "door",
    "ground",
    "rebound",
    "undone",
    "undone_async",
]

_HOMES = {
    "Caller": "tenantry.testing.apps",
    "Door": "tenantry.testing.doors",
    "Ground": "tenantry.testing.grounds",
    "Maker": "tenantry.testing.making",
    "assert_app_isolated": "tenantry.testing.apps",
    "assert_isolated": "tenantry.testing.leaks",
    "count_statements": "tenantry.observe.counting",
    "door": "tenantry.testing.doors",
    "ground": "tenantry.testing.grounds",
    "rebound": "tenantry.testing.rebinding",
    "undone": "tenantry.testing.undoing",
    "undone_async": "tenantry.testing.undoing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tenantry.testing' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return found
