"""Installations that a module's tests share, each handed on in good health."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .clinic import Clinic, is_superuser


class Ambulance:
    """Keeps one installation for a module, and makes another after a test that left it ill."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.clinic: Clinic | None = None

    def fetch(self) -> Clinic:
        self.clinic = self.clinic or Clinic(self.server, owner="superuser")
        return self.clinic

    def discard(self) -> None:
        if self.clinic:
            self.clinic.close()
        self.clinic = None


@pytest.fixture(scope="module")
def ambulance(postgres: Any) -> Iterator[Ambulance]:
    found = Ambulance(postgres)
    yield found
    found.discard()


@pytest.fixture
def clinic(ambulance: Ambulance, postgres: Any) -> Iterator[Clinic]:
    """A properly installed server; after a test that does not cure it the next one gets another."""
    if not is_superuser(postgres.url()):
        pytest.skip("only a superuser can plant these faults")
    found = ambulance.fetch()
    found.well = False
    yield found
    if not found.well:
        ambulance.discard()
