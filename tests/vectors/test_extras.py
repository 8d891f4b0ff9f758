"""The room needs no package of its own until something is compared here, awaited, or kept in Chroma."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = """
import importlib
import sys
sys.modules |= dict.fromkeys(("numpy", "chromadb", "chromadb.api", "greenlet"))
import tenantry.vectors
for module in ("exact", "chroma"):
    try:
        importlib.import_module(f"tenantry.vectors.{module}")
    except ImportError as error:
        print(type(error).__name__, error)
"""
SENTENCE = 'ExtraMissing {} needs a package that is not installed. Run: pip install "tenantry[{}]".'


def test_a_missing_package_is_named() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        SENTENCE.format("The exact search among vectors", "vectors"),
        SENTENCE.format("The Chroma store of vectors", "chroma"),
    ]
