"""Without its package a store says in one sentence what to install; the cache itself needs none."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = """
import importlib
import sys
sys.modules |= dict.fromkeys(("cachetools", "redis", "greenlet"))
import tenantry.cache
for store in ("memory", "redis"):
    try:
        importlib.import_module(f"tenantry.cache.{store}")
    except ImportError as error:
        print(type(error).__name__, error)
"""
SENTENCE = 'ExtraMissing {} needs a package that is not installed. Run: pip install "tenantry[{}]".'


def test_a_missing_package_is_named() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        SENTENCE.format("The store of results in memory", "cache"),
        SENTENCE.format("The Redis store of results", "redis"),
    ]
