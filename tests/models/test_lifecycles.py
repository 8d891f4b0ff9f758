"""Life cycles: a step that does not follow is refused at assignment, and of two who race one takes it."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.errors import IllegalStep, RowNotInSession
from tenantry.models import Lifecycle, TenantOwned, Timestamps, UTCDateTime


class Base(DeclarativeBase):
    pass


class Door(TenantOwned, Timestamps, Base):
    __tablename__ = "doors"

    status: Mapped[str] = mapped_column(default="open")
    closed_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    who: Mapped[str | None]


DOORS = Lifecycle(
    Door.status,
    {"open": ["closed"], "closed": ["open", "bricked"], "bricked": []},
    first=["open"],
    stamps={"closed": "closed_at"},
)


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def tenancy(
    request: pytest.FixtureRequest, module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenancy]:
    url = module_database if request.param == "postgresql" else f"sqlite:///{tmp_path_factory.mktemp('doors')}"
    with contextlib.closing(Tenancy(url, models=Base)) as made:
        made.install(create_tables=True)
        made.tenants.create("acme", isolation="rows")
        yield made


def new_door(tenancy: Tenancy) -> Any:
    with tenancy.transaction("acme") as db:
        door = Door()
        db.add(door)
        db.flush()
        return door.id


def test_a_step_that_follows_is_taken_and_stamped(tenancy: Tenancy) -> None:
    key = new_door(tenancy)
    with tenancy.transaction("acme") as db:
        DOORS.take(db.get_one(Door, key), "closed", who="Ann")
    with tenancy.session("acme") as db:
        door = db.get_one(Door, key)
        assert (door.status, door.who) == ("closed", "Ann")
        assert door.closed_at is not None
        door.status = "bricked"
        db.commit()


@pytest.mark.parametrize("step", ["bricked", "ajar"])
def test_a_step_that_does_not_follow_is_refused(tenancy: Tenancy, step: str) -> None:
    key = new_door(tenancy)
    with tenancy.session("acme") as db:
        door = db.get_one(Door, key)
        with pytest.raises(IllegalStep, match="What may follow: closed"):
            door.status = step
        with pytest.raises(IllegalStep):
            DOORS.take(door, step)
        db.commit()
    with tenancy.session("acme") as db:
        assert db.get_one(Door, key).status == "open"


def test_what_was_not_loaded_is_looked_at_before_it_changes(tenancy: Tenancy) -> None:
    key = new_door(tenancy)
    with tenancy.session("acme") as db:
        door = db.get_one(Door, key)
        db.expire(door)
        with pytest.raises(IllegalStep):
            door.status = "bricked"


def test_of_two_who_race_one_takes_the_step(tenancy: Tenancy) -> None:
    key, barrier, said = new_door(tenancy), threading.Barrier(8), []

    def close(name: str) -> None:
        with tenancy.session("acme") as db:
            found = db.scalars(select(Door).where(Door.id == key)).one()
            db.commit()
            barrier.wait()
            try:
                DOORS.take(found, "closed", who=name)
                db.commit()
                said.append(name)
            except IllegalStep:
                pass

    threads = [threading.Thread(target=close, args=(f"{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tenancy.session("acme") as db:
        assert [db.get_one(Door, key).who] == said


def test_what_a_row_begins_with(tenancy: Tenancy) -> None:
    with pytest.raises(IllegalStep, match="What may follow: open"):
        Door(status="closed")
    with pytest.raises(RowNotInSession):
        DOORS.take(Door(), "closed")


def test_what_may_follow_is_told() -> None:
    assert DOORS.after("closed") == ["bricked", "open"]
    assert DOORS.allows("open", "open")
    assert not DOORS.allows("bricked", "open")
    with pytest.raises(ValueError, match="ajar"):
        Lifecycle(Door.who, {"open": ["ajar"]})
