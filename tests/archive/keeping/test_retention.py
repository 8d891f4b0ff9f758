"""Which archives stay, told of a year of them."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tenantry.archive.retention import Keep
from tenantry.catalog.archives import DAMAGED, Archived
from tenantry.errors import ConfigurationError

# A Sunday.
TODAY = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def archived(taken_at: datetime, **facts: object) -> Archived:
    known = Archived(
        id=uuid.uuid4(), tenant_id=uuid.UUID(int=1), store="here", name=str(taken_at), taken_at=taken_at, size=1, rows=1
    )
    return dataclasses.replace(known, **facts)


def nightly(days: int) -> list[Archived]:
    """One archive each night, the newest first."""
    return [archived(TODAY - timedelta(days=day)) for day in range(days)]


def ages(keep: Keep, archives: list[Archived]) -> list[int]:
    """Returns how many days old those are that stay."""
    kept = keep.reasons(archives)
    return sorted((TODAY - each.taken_at).days for each in archives if each.id in kept)


def test_the_last_ones_stay() -> None:
    assert ages(Keep(last=3), nightly(30)) == [0, 1, 2]


def test_days_weeks_and_months_each_keep_their_newest() -> None:
    assert ages(Keep(daily=2), nightly(30)) == [0, 1]
    # Sundays end ISO weeks.
    assert ages(Keep(weekly=3), nightly(30)) == [0, 7, 14]
    # 22 November, 31 October, 30 September.
    assert ages(Keep(monthly=3), nightly(100)) == [0, 22, 53]
    assert ages(Keep(daily=7, weekly=4), nightly(60)) == [0, 1, 2, 3, 4, 5, 6, 7, 14, 21]


def test_of_several_in_a_day_the_newest_stays() -> None:
    hourly = [archived(TODAY - timedelta(hours=hour)) for hour in range(48)]
    kept = Keep(daily=2).reasons(hourly)
    assert [each.taken_at for each in hourly if each.id in kept] == [TODAY, TODAY.replace(day=21, hour=23)]


def test_backups_that_stopped_long_ago_lose_nothing_more() -> None:
    old = [archived(TODAY - timedelta(days=400 + day)) for day in range(3)]
    assert ages(Keep(daily=7), old) == [400, 401, 402]


def test_pruning_daily_for_a_year_leaves_what_was_asked_for() -> None:
    kept: list[Archived] = []
    for day in range(365):
        kept.append(archived(TODAY - timedelta(days=364 - day)))
        stay = Keep(daily=7, weekly=4, monthly=6).reasons(kept)
        kept = [each for each in kept if each.id in stay]
    assert sorted((TODAY - each.taken_at).days for each in kept) == [
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        14,
        21,
        22,
        53,
        83,
        114,
        145,
    ]


def test_a_damaged_archive_takes_no_whole_ones_place() -> None:
    one, two, three = nightly(3)
    damaged = dataclasses.replace(one, state=DAMAGED)
    # Nothing whole is newer, so it may be all there is of that day.
    assert set(Keep(last=1).reasons([damaged, two, three])) == {damaged.id, two.id}
    assert set(Keep(last=1).reasons([one, dataclasses.replace(two, state=DAMAGED), three])) == {one.id}


def test_the_newest_whole_the_newest_verified_and_pinned_ones_stay() -> None:
    archives = nightly(10)
    archives[4] = dataclasses.replace(archives[4], verified_at=TODAY)
    archives[6] = dataclasses.replace(archives[6], verified_at=TODAY)
    archives[9] = dataclasses.replace(archives[9], pinned=True)
    assert Keep(monthly=1).reasons(archives) == {
        archives[0].id: "monthly, newest",
        archives[4].id: "newest verified",
        archives[9].id: "pinned",
    }


def test_nobody_keeps_nothing() -> None:
    assert Keep(last=1).reasons([]) == {}
    for numbers in ({}, {"last": 0}, {"daily": -1, "last": 2}):
        with pytest.raises(ConfigurationError, match="keeps no archive"):
            Keep(**numbers)


def test_it_is_spelt_and_kept() -> None:
    keep = Keep.parse("last=3, daily=7,monthly=12")
    assert keep == Keep(last=3, daily=7, monthly=12)
    assert Keep.from_json(keep.to_json()) == Keep.parse(str(keep)) == keep
    for text in ("", "7", "hourly=3", "daily=-1", "daily=1,daily=2x"):
        with pytest.raises(ConfigurationError, match="last=7"):
            Keep.parse(text)
