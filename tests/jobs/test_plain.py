"""Plain functions in every cell: the body has its tenant's session, through both doors, or does not run at all."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import multiprocessing
import pickle
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest
from cells import PLACES, Ground, Place
from sqlalchemy import delete, select

from tenantry import errors
from tenantry.jobs import (
    Jobs,
    async_job_session,
    async_job_transaction,
    current_job,
    job_session,
    job_transaction,
)

from .conftest import HERE
from .models import Note

ROWS = [place for place in PLACES if place.cell == "postgresql-rows"]


class Shop:
    """The jobs of one place, and the bodies that ran."""

    def __init__(self, ground: Ground, place: Place) -> None:
        self.ground, self.place = ground, place
        self.jobs: Jobs = ground.made(place)
        self.tenancy = ground.tenancy(place)
        self.near, self.far = (self.tenancy.tenants.get(f"{side}-{place.cell}") for side in ("near", "far"))
        self.ran: list[Any] = []
        for tenant in (self.near, self.far):
            with ground.session(Place(place.cell, "sync"), tenant.slug.split("-")[0]) as door:
                door.session.execute(delete(Note))
                door.commit()

    def call(self, task: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a task of either kind."""

        async def awaited() -> Any:
            return await task(*args, **kwargs)

        if not inspect.iscoroutinefunction(task.__wrapped__):
            return task(*args, **kwargs)
        # The runner's tasks have a context of the runner's: what is bound here is to reach them.
        return self.ground.runner.run(awaited(), context=contextvars.copy_context())

    def writer(self, **options: Any) -> Any:
        """Returns a task that writes a note in a session that it is given, through this place's door."""

        def plain(session: Any, text: str, *_: Any, **__: Any) -> str:
            self.ran.append(text)
            session.add(Note(text=text))
            return str(session.tenant.slug)

        async def coroutine(session: Any, text: str, *_: Any, **__: Any) -> str:
            return plain(session, text)

        body = plain if self.place.door == "sync" else coroutine
        return self.jobs.task(body, **{"transactional": True, **options})

    def opener(self) -> Any:
        """Returns a task that opens its own session, and gives what that knows."""

        def plain() -> dict[Any, Any]:
            with job_session(read_only=True) as session:
                return {**session.info, "tenant": session.tenant.id}

        async def coroutine() -> dict[Any, Any]:
            async with async_job_session(read_only=True) as session:
                return {**session.info, "tenant": session.tenant.id}

        return self.jobs.task(plain if self.place.door == "sync" else coroutine)

    def notes(self, side: str) -> list[str]:
        with self.ground.session(Place(self.place.cell, "sync"), side) as door:
            return sorted(door.session.scalars(select(Note.text)))


@pytest.fixture(params=PLACES, ids=str)
def shop(request: pytest.FixtureRequest, ground: Ground) -> Shop:
    return Shop(ground, request.param)


@pytest.fixture
def here(ground: Ground) -> Shop:
    """The one place for what does not differ."""
    return Shop(ground, HERE)


def test_a_body_writes_its_tenants_rows_alone(shop: Shop) -> None:
    write = shop.writer()
    with shop.jobs.sending(shop.near.slug):
        assert shop.call(write, "one") == shop.near.slug
    with shop.jobs.sending(shop.far.id):
        assert shop.call(write, "two") == shop.far.slug
    assert (shop.notes("near"), shop.notes("far")) == (["one"], ["two"])


def test_a_session_of_the_job_knows_who_sent_it(shop: Shop) -> None:
    with shop.ground.session(shop.place) as door:
        door.session.info.update(actor="ann", impersonator="root", correlation_id="c-1")
        with shop.jobs.sending(door.session):
            info = shop.call(shop.opener())
    known = {name: info[name] for name in ("actor", "impersonator", "correlation_id", "tenant")}
    assert known == {"actor": "ann", "impersonator": "root", "correlation_id": "c-1", "tenant": shop.near.id}


def test_without_a_tenant_the_body_never_runs(shop: Shop) -> None:
    with pytest.raises(errors.JobTenantMissing, match=r"with jobs\.sending"):
        shop.call(shop.writer(), "one")
    assert (shop.ran, shop.notes("near"), shop.notes("far")) == ([], [], [])


def test_what_is_another_tenants_is_refused_before_the_body(shop: Shop) -> None:
    write = shop.writer()
    with shop.ground.session(shop.place, "far") as door:
        foreign = Note(text="far's")
        door.session.add(foreign)
        door.commit()
        given = [foreign, door.session, shop.far, [foreign], {"a": ({"b": foreign},)}, {foreign}]
        for value in given:
            with shop.jobs.sending(shop.near), pytest.raises(errors.JobForeign, match="of another tenant"):
                shop.call(write, "one", value)
            with shop.jobs.sending(shop.near), pytest.raises(errors.JobForeign):
                shop.call(write, text="one", more=value)
        door.run(lambda session: session.expire(foreign))
        with shop.jobs.sending(shop.near), pytest.raises(errors.JobForeign):
            shop.call(write, "one", foreign)
        with shop.jobs.sending(shop.far):
            assert shop.call(write, "two", foreign, door.session) == shop.far.slug
    assert shop.ran == ["two"]


def test_ids_of_another_tenants_rows_are_refused_like_missing_ones(shop: Shop) -> None:
    write = shop.writer(records={"text": Note})
    with shop.ground.session(shop.place, "far") as door:
        foreign = Note(text="far's")
        door.session.add(foreign)
        door.commit()
    messages = set()
    for ident in (foreign.id, str(foreign.id), uuid.uuid4(), "no id", 7):
        with shop.jobs.sending(shop.near), pytest.raises(errors.JobRecordMissing) as raised:
            shop.call(write, ident)
        messages.add(str(raised.value))
    assert len(messages) == 1
    assert shop.ran == []
    with shop.jobs.sending(shop.far):
        assert shop.call(write, text=str(foreign.id)) == shop.far.slug


def test_a_message_given_twice_takes_effect_once(shop: Shop) -> None:
    write, key = shop.writer(once=True), f"invoice-{uuid.uuid4()}"
    for _ in range(2):
        with shop.jobs.sending(shop.near, key=key):
            assert shop.call(write, "one") == shop.near.slug
    with shop.jobs.sending(shop.far, key=key):
        assert shop.call(write, "two") == shop.far.slug
    with shop.jobs.sending(shop.near):
        shop.call(write, "three")
        shop.call(write, "four")
    assert (shop.notes("near"), shop.notes("far")) == (["four", "one", "three"], ["two"])


def test_an_error_of_the_body_leaves_nothing(shop: Shop) -> None:
    def plain(session: Any) -> None:
        session.add(Note(text="one"))
        raise ZeroDivisionError

    async def coroutine(session: Any) -> None:
        plain(session)

    task = shop.jobs.task(plain if shop.place.door == "sync" else coroutine, transactional=True)
    with pytest.raises(ZeroDivisionError), shop.jobs.sending(shop.near):
        shop.call(task)
    with pytest.raises(errors.NoJob):
        current_job()
    assert shop.notes("near") == []


def test_tenants_that_are_not_active_get_no_jobs(here: Shop) -> None:
    tenants, write = here.tenancy.tenants, here.writer()
    tenant = tenants.create(f"gone-{uuid.uuid4().hex[:8]}")

    # Neither asks for a session, which would be refused anyway.
    @here.jobs.task
    def plain() -> None:
        here.ran.append("plain")

    @here.jobs.task
    async def coroutine() -> None:
        plain()

    with here.jobs.sending(tenant):
        carried = write.carry()
        tenants.suspend(tenant.slug)
        for task, *given in ((write, "one"), (plain,), (coroutine,)):
            with pytest.raises(errors.TenantSuspended):
                here.call(task, *given)
        tenants.resume(tenant.slug)
        write("two")
    tenants.erase(tenant.slug, confirm=tenant.slug)
    with pytest.raises((errors.TenantUnavailable, errors.TenantNotFound)):
        carried("three")
    with pytest.raises(errors.TenantNotFound), here.jobs.sending("nobody-at-all"):
        pass
    assert here.ran == ["two"]


def test_what_works_for_a_tenant_sends_for_no_other(here: Shop) -> None:
    write = here.writer()

    @here.jobs.task
    def cross(reach: Callable[[], Any]) -> None:
        reach()

    def send() -> None:
        with here.jobs.sending(here.far):
            write("one")

    for reach in (send, lambda: here.jobs.each(write, "one"), lambda: here.jobs.headers(here.far)):
        with here.jobs.sending(here.near), pytest.raises(errors.JobTenantsDisagree):
            cross(reach)
    with here.jobs.sending(here.near):
        cross(lambda: write("two"))
    assert here.ran == ["two"]


def test_a_nested_job_gives_back_what_was_bound(here: Shop) -> None:
    seen = []

    @here.jobs.task
    def inner() -> None:
        seen.append((current_job().tenant, current_job().envelope.key))

    @here.jobs.task
    def outer() -> None:
        inner()
        inner.carry()()
        seen.append((current_job().tenant, current_job().envelope.key))

    with here.jobs.sending(here.near, key="k-1"):
        outer()
    assert {tenant for tenant, _ in seen} == {here.near.id}
    # Each is another message; only the one that was given the key has it.
    assert [key for _, key in seen][2] == "k-1"
    assert len({key for _, key in seen}) == 3
    with pytest.raises(errors.NoJob):
        job_session()
    with here.jobs.sending(here.near), pytest.raises(errors.NoJob):
        job_transaction()
    with pytest.raises(errors.NoJob):
        async_job_transaction()


def test_a_platform_job_has_no_tenant_and_may_send_for_any(here: Shop) -> None:
    write, tenants = here.writer(), (here.near.id, here.far.id)

    @here.jobs.platform_task
    def nightly() -> Any:
        with pytest.raises(errors.JobTenantMissing):
            job_session().__enter__()
        assert here.tenancy.platform().__enter__() is not None
        return here.jobs.each(write, "night", where=lambda tenant: tenant.id in tenants)

    with here.jobs.sending(here.near, actor="ann"):
        # About the platform, whoever calls it.
        outcomes = nightly()
    assert (set(outcomes.done), outcomes.ok) == (set(tenants), True)
    assert (here.notes("near"), here.notes("far")) == (["night"], ["night"])
    broken = here.jobs.each(here.writer(records={"text": Note}), "night", where=lambda tenant: tenant.id in tenants)
    assert set(broken.failed) == set(tenants)


def test_threads_have_what_was_carried_and_nothing_else(here: Shop) -> None:
    write, tenants = here.writer(), [here.near, here.far]
    with ThreadPoolExecutor(1) as pool:
        for number in range(10):
            with here.jobs.sending(tenants[number % 2]):
                assert pool.submit(write.carry(), str(number)).result() == tenants[number % 2].slug
                with pytest.raises(errors.JobTenantMissing):
                    pool.submit(write, "bare").result()
        with here.jobs.sending(here.near):
            carried = write.carry()
        with here.jobs.sending(here.far):
            # Whatever is bound where it is called.
            assert carried("carried") == here.near.slug
    seen: list[BaseException] = []

    def bare() -> None:
        try:
            write("bare")
        except errors.JobTenantMissing as error:
            seen.append(error)

    with here.jobs.sending(here.near):
        thread = threading.Thread(target=bare)
        thread.start()
        thread.join()
    assert len(seen) == 1
    assert "bare" not in here.ran


def test_a_process_has_what_was_carried(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    # Under the name by which another process finds it.
    from jobs import tasks

    assert pickle.loads(pickle.dumps(tasks.whose)) is tasks.whose
    monkeypatch.setenv("JOBS_PLAIN_URL", ground.urls["app_url"])
    tenants = [ground.tenancy(HERE).tenants.get(f"{side}-{HERE.cell}") for side in ("near", "far")]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for tenant in tenants * 2:
            with tasks.jobs.sending(tenant.id):
                assert pool.submit(tasks.whose.carry()).result() == tenant.id
        with tasks.jobs.sending(tenant.id), pytest.raises(errors.JobTenantMissing):
            pool.submit(tasks.whose).result()


@pytest.mark.parametrize("place", [place for place in ROWS if place.door != "sync"], ids=str)
def test_tasks_of_one_loop_do_not_mix(ground: Ground, place: Place) -> None:
    shop = Shop(ground, place)
    tenants = [shop.near, shop.far]

    @shop.jobs.task
    async def mingle(turns: int) -> set[Any]:
        seen = set()
        for _ in range(turns):
            async with async_job_transaction() as session:
                await asyncio.sleep(0)
                seen.add((session.tenant.id, current_job().tenant))
        return seen

    async def one(number: int) -> Any:
        async with shop.jobs.sending(tenants[number % 2].slug):
            return await mingle(3)

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*map(one, range(40)))

    found = ground.runner.run(all_of_them())
    assert found == [{(tenants[number % 2].id,) * 2} for number in range(40)]


def test_what_outlives_its_block_is_bound_to_nothing(here: Shop) -> None:
    write = here.writer()

    @here.jobs.task
    async def leave(left: list[Any]) -> None:
        began = asyncio.Event()

        async def linger() -> Any:
            began.set()
            await asyncio.sleep(0.05)
            with pytest.raises(errors.JobTenantMissing):
                write("late")
            return current_job()

        left.append(asyncio.create_task(linger()))
        await began.wait()

    async def run() -> Any:
        left: list[Any] = []
        with here.jobs.sending(here.near):
            await leave(left)
            return await asyncio.gather(*left, return_exceptions=True)

    # A loop that was begun inside of a block is of use to everybody after it.
    with here.jobs.sending(here.far):
        runner = asyncio.Runner()
        runner.run(asyncio.sleep(0))
    with runner:
        (lingered,) = runner.run(run())
    assert isinstance(lingered, errors.NoJob)
    assert here.ran == []


def test_mistakes_are_told_at_the_declaration(here: Shop) -> None:
    plain = Jobs(here.tenancy)
    mistakes: list[tuple[Callable[[], Any], str]] = [
        (lambda: plain.task(print_it, once=True), "idempotency=Idempotency"),
        (lambda: plain.task(print_it, records={"other": Note}), "does not have: other"),
        (lambda: plain.task(print_it, max_retries=3), "no options max_retries"),
        (lambda: plain.task(yield_it), "generator function"),
        (lambda: plain.task(yield_it_later), "generator function"),
        (lambda: plain.sending(here.near, actor="a\nb").__enter__(), "actor"),
        (lambda: plain.sending(here.near, key="k" * 256).__enter__(), "key"),
    ]
    for mistake, told in mistakes:
        with pytest.raises(errors.ConfigurationError, match=told):
            mistake()


def print_it(text: str) -> None:
    print(text)


def yield_it(text: str) -> Iterator[str]:
    yield text


async def yield_it_later(text: str) -> AsyncIterator[str]:
    yield text


@pytest.fixture(params=["celery", "procrastinate"])
def missing(request: pytest.FixtureRequest) -> Iterator[str]:
    return request.param


def test_a_missing_extra_is_told_in_one_sentence(missing: str) -> None:
    extra = {"celery": "celery", "procrastinate": "jobs"}[missing]
    program = f"import sys; sys.modules[{missing!r}] = None; import tenantry.jobs; import tenantry.jobs.{missing}"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    said = f'tenantry.jobs.{missing} needs a package that is not installed. Run: pip install "tenantry[{extra}]".'
    assert ran.returncode == 1
    assert ran.stderr.strip().splitlines()[-1].endswith(said)
