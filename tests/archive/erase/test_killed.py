"""An erase killed at any step is finished by the same call; nothing is left, and the certificate tells of all."""

from __future__ import annotations

import random
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import Program

from tenantry import Tenant
from tenantry.archive.certificates import Certificate

from .houses import ANNA, ANNA_PHONE, PLACES, RING, House, Site, count
from .test_persons import GONE

PERSON = [ANNA, ANNA_PHONE]


class Eraser:
    """The program that erases and is killed."""

    def __init__(self) -> None:
        self._program = Program(Path(__file__).with_name("erasing.py"))
        self.close = self._program.close

    def erase(self, site: Site, tenant: Tenant, **job: Any) -> tuple[int, int, int]:
        """Returns the child's exit status, and how many steps and calls it made if it came to its end."""
        ended = self._program.ask({**site.job, "tenant": str(tenant.id), **job})
        return ended["status"], ended.get("steps", 0), ended.get("calls", 0)


@pytest.fixture(scope="module")
def eraser() -> Iterator[Eraser]:
    eraser = Eraser()
    yield eraser
    eraser.close()


class Trial:
    """Tenants of one place that are erased, or whose customer is, beside a neighbour."""

    def __init__(self, house: House, eraser: Eraser, place: str, names: list[str]) -> None:
        self.house, self.eraser, self.place, self.names = house, eraser, place, names
        self.site = house.site(place)
        self.neighbour = house.make(place)
        house.fill(place, self.neighbour)
        self.before = house.digests(place, self.neighbour)
        status, self.steps, self.calls = self.kill(self.subject()[0])
        assert status == 0

    def subject(self) -> tuple[Tenant, str]:
        """Returns a tenant with an archive, and the word that is in all its columns or a customer to be forgotten."""
        word = "" if self.names else f"zq{uuid.uuid4().hex[:6]}"
        tenant = self.house.make(self.place, word=word)
        if self.names:
            self.house.fill(self.place, tenant)
        self.site.archive.backup(tenant)
        return tenant, word

    def kill(self, tenant: Tenant, **when: int) -> tuple[int, int, int]:
        return self.eraser.erase(self.site, tenant, names=self.names, **when)

    def run(self, **when: int) -> bool:
        """Kills one erase, finishes it by the same call, and looks; returns whether it was killed before its end."""
        tenant, word = self.subject()
        status, *_ = self.kill(tenant, **when)
        assert status in (0, -signal.SIGKILL)
        certificate = self.finish(tenant) if status else self.logged(tenant)
        certificate.check(RING)
        told = {store.name: store.erased for store in certificate.stores}
        assert told["data keys"] == {"keys": 1}
        assert told[f"archives in {self.site.archive.store!r}"]["files"] >= 1
        self.check_person(tenant, told) if self.names else self.check_tenant(tenant, word, told)
        assert [one for one in self.site.erasing.status() if one.tenant == tenant.id] == []
        assert [one for one in self.site.archive.status() if one.tenant == tenant.id] == []
        assert self.house.digests(self.place, self.neighbour) == self.before
        return status != 0

    def finish(self, tenant: Tenant) -> Certificate:
        done = [erasure for erasure in self.site.erasing.log(tenant.id) if erasure.certificate]
        if done:
            # It was killed behind its end.
            for left in self.site.erasing.status():
                assert left.tenant != tenant.id or left.step == "certify"
        if self.names:
            return self.site.erasing.person(tenant.id, self.names)
        return self.site.erasing.tenant(tenant.id, confirm=tenant.slug)

    def logged(self, tenant: Tenant) -> Certificate:
        (erasure,) = self.site.erasing.log(tenant.id)
        return Certificate.from_json(erasure.certificate or {})

    def check_tenant(self, tenant: Tenant, word: str, told: dict[str, Any]) -> None:
        assert told["rows"]["customers"] == 1
        assert self.house.said(self.place, word) == []
        assert list(self.site.archive.store.names(f"{tenant.id}/")) == []

    def check_person(self, tenant: Tenant, told: dict[str, Any]) -> None:
        assert {name: told["rows"][name] for name in GONE} == {name: gone for name, (gone, _) in GONE.items()}
        assert {name: count(self.site, tenant, name) for name in GONE} == {n: left for n, (_, left) in GONE.items()}
        assert len(list(self.site.archive.store.names(f"{tenant.id}/"))) == 1


KINDS = {"tenant": [], "person": PERSON}
# Where and when erases are killed in every run: each kind of place, the whole course.
TRIALS = [
    ("rows", "tenant", 0.3),
    ("schema", "tenant", 0.5),
    ("file", "tenant", 0.7),
    ("common file", "tenant", 0.9),
    ("rows", "person", 0.4),
    ("schema", "person", 0.2),
    ("file", "person", 0.6),
    ("common file", "person", 0.8),
]


@pytest.mark.mainly("schema", "common file")
@pytest.mark.parametrize(("place", "kind", "part"), TRIALS)
def test_an_erase_killed_at_a_step_is_finished_by_the_same_call(
    house: House, eraser: Eraser, place: str, kind: str, part: float
) -> None:
    trial = Trial(house, eraser, place, KINDS[kind])
    assert trial.run(steps=round(trial.steps * part))


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_forty_erases_killed_anywhere_are_finished(house: House, eraser: Eraser, place: str, kind: str) -> None:
    dice, trial = random.Random(13), Trial(house, eraser, place, KINDS[kind])
    steps = [trial.run(steps=step) for step in range(1, trial.steps + 1)]
    calls = [trial.run(calls=dice.randrange(1, trial.calls)) for _ in range(max(0, 40 - len(steps)))]
    print(
        f"\n{place}, {kind}: {sum(steps)} killed at each of {trial.steps} steps, {sum(calls)} of {len(calls)} anywhere"
    )
    assert all(steps)
    assert sum(steps) + sum(calls) >= 30
