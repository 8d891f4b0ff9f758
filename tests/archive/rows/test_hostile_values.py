"""Rows of hostile values from database to database: every value comes back as it was."""

from __future__ import annotations

import random
import struct
from decimal import Decimal
from typing import Any

import pytest
from cells import CELLS, Ground
from sqlalchemy import select
from sqlalchemy.orm import Session

from tenantry.archive.places import reading, writing
from tenantry.archive.shapes import TableDigest

from .models import Counted, Thing
from .places import Home, clear, digests, home, scratch
from .values import row


@pytest.mark.parametrize("seed", range(2))
def test_two_thousand_rows_of_hostile_values_go_round_through_both_databases(ground: Ground, seed: int) -> None:
    rng = random.Random(f"hostile {seed}")
    given = [row(rng) for _ in range(1000)]
    first = ["postgresql-rows", "sqlite-file", "postgresql-schema"]
    _travel(ground, ["sqlite-rows", "postgresql-database", "sqlite-file"] if seed else first, given)


@pytest.mark.soak
def test_many_more_hostile_rows_go_round(ground: Ground) -> None:
    for seed in range(50):
        rng = random.Random(f"more {seed}")
        stops = rng.sample(list(CELLS), len(CELLS))
        _travel(ground, stops, [row(rng) for _ in range(2000)])
    print("\n100,000 hostile rows went through all five cells: every digest equal, every value as it was")


def _travel(ground: Ground, stops: list[str], given: list[dict[str, Any]]) -> None:
    tenancy, tenant = home(ground, stops[0])
    try:
        with tenancy.transaction(tenant) as session:
            things = [Thing(**values) for values in given]
            session.add_all(things)
            ids = [thing.id for thing in things]
        first = digests(tenancy, tenant)
        _visit(ground, stops[1:], (tenancy, tenant), first, dict(zip(ids, given, strict=True)))
    finally:
        clear((tenancy, tenant))


def _visit(
    ground: Ground, stops: list[str], source: Home, first: dict[str, TableDigest], given: dict[Any, dict[str, Any]]
) -> None:
    if not stops:
        return
    tenancy, like = home(ground, stops[0])
    with writing(tenancy, like) as writer, reading(*source) as reader:
        for table in reader.tables:
            writer.fill(table, reader.rows(table))
    try:
        assert digests(tenancy, like) == first
        with tenancy.session(like) as session:
            _compare(session, given)
        _visit(ground, stops[1:], (tenancy, like), first, given)
    finally:
        clear((tenancy, like))


def _compare(session: Session, given: dict[Any, dict[str, Any]]) -> None:
    found = {thing.id: thing for thing in session.scalars(select(Thing))}
    assert found.keys() == given.keys()
    for identity, values in given.items():
        for name, value in values.items():
            stands = getattr(found[identity], name)
            if name == "padded" and stands is not None:
                stands = stands.rstrip()
            if name == "single" and stands is not None:
                # What four bytes hold is written with nine digits at most.
                stands = struct.unpack("f", struct.pack("f", stands))[0]
            if name == "free" and stands is not None:
                # SQLAlchemy shows ten decimals of a float, whatever stands in them.
                stands = Decimal(repr(float(stands)))
            assert stands == value, (name, value, stands)


def test_new_rows_are_numbered_after_those_that_came(ground: Ground) -> None:
    for cell in CELLS:
        with scratch(ground, "postgresql-rows") as source:
            with writing(*source) as writer:
                writer.fill("counted", (f"{number}\tnumber {number}\n".encode() for number in (5, 7, 1_000_000)))
            tenancy, tenant = home(ground, cell)
            with reading(*source) as reader, writing(tenancy, tenant) as writer:
                writer.fill("counted", reader.rows("counted"))
                writer.settle()
        with tenancy.session(tenant) as session:
            new = Counted(text="new")
            session.add(new)
            session.flush()
            assert new.id > 1_000_000
            session.rollback()
        with tenancy.transaction(home(ground, cell, "far")[1]) as session:
            session.add(Counted(text="a neighbour's"))
        for side in ("near", "far"):
            clear(home(ground, cell, side))
