"""A bound read watched by an Observer, beside the same read that nobody watches."""

from __future__ import annotations

from bench.models import Base
from bench.samples import summarise, table
from bench.sessions import Turn, timed
from bench.stage import Stage
from bench.work import WORK, Work
from tenantry import Config, Tenancy
from tenantry.observe import Metrics, Observer

_MOST = 1.03


def report(stage: Stage, rounds: int) -> None:
    """Prints what metrics cost, with psycopg, read by read."""
    config = Config(route_ttl=300.0)
    watched = Tenancy(stage.app_url, models=Base, owner_url=stage.owner_url, config=config)
    observer = Observer(watched, metrics=Metrics())
    unwatched = Tenancy(stage.app_url, models=Base, owner_url=stage.owner_url, config=config)
    for name, (_, work) in WORK.items():
        contestants = {"tenancy.session": _turn(unwatched, work), "with an Observer": _turn(watched, work)}
        samples = timed(contestants, rounds)
        print(table(f"psycopg, {name}", samples))
        ratio = summarise(samples)[1].ratio
        print(f"\nObserved: {ratio:.3f} of the same read unobserved; at most {_MOST} is wanted.", flush=True)
    assert observer.snapshot().tenants["common"].statements >= rounds * len(WORK)
    watched.close()
    unwatched.close()


def _turn(tenancy: Tenancy, work: Work) -> Turn:
    def turn(number: int) -> None:
        with tenancy.session("common") as session:
            work(session, session.tenant.id, number)

    return turn
