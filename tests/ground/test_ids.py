"""Identifiers: in order, well formed, and physical names that no two tenants share."""

from __future__ import annotations

import threading
import uuid

from hypothesis import given
from hypothesis import strategies as st

from tenantry.ids import advisory_key, physical_file, physical_name, uuid7


def test_uuid7_rises_and_is_of_version_7() -> None:
    made = [uuid7() for _ in range(5000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}


def test_threads_never_get_one_uuid7_twice() -> None:
    made: list[uuid.UUID] = []
    threads = [threading.Thread(target=lambda: made.extend([uuid7() for _ in range(2000)])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(made)) == 16_000


@given(st.uuids(), st.uuids())
def test_two_tenants_never_share_a_physical_name(one: uuid.UUID, other: uuid.UUID) -> None:
    for name in (physical_name, physical_file):
        assert (name(one) == name(other)) == (one == other)
        assert name(one).casefold() == name(one)
    assert len(physical_name(one)) == 34
    assert -(2**63) <= advisory_key(one) < 2**63
