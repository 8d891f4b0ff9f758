"""The room stands without what it does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tenantry import web
from tenantry.errors import ConfigurationError
from tenantry.web import context_of

PROGRAM = """
import sys
for name in ("fastapi", "starlette", "flask", "jwt"):
    sys.modules[name] = None
import tenantry.web as web
assert web.TenancyMiddleware and web.WSGITenancyMiddleware and web.request_session_async
try:
    web.tenant_session
except ImportError as error:
    print(error)
"""


def test_without_fastapi_the_middleware_stands() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert 'pip install "tenantry[web]"' in done.stdout


def test_every_public_name_is_there() -> None:
    assert [name for name in web.__all__ if not getattr(web, name)] == []
    with pytest.raises(AttributeError, match="no attribute"):
        _ = web.nonsense


def test_a_request_past_the_middleware_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="did not pass through"):
        context_of({"type": "http", "tenantry": "acme"})
