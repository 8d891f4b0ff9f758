"""A server of object storage for the module, and a bucket of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from ..buckets import Bucket, buckets, new_bucket

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with buckets() as found:
        yield found


@pytest.fixture
def bucket(endpoint: str) -> Bucket:
    return new_bucket(endpoint, f"bucket-{next(NUMBERS)}")
