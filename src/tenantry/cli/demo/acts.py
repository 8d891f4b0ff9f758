"""The demo from the first act to the verdict: start, install, load, count, break in, compare."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tenantry import Tenancy
from tenantry.cli.demo.calling import exercise
from tenantry.cli.demo.customers import Customer, Place
from tenantry.cli.demo.generated import make_customers, make_intruders
from tenantry.cli.demo.intrusion import Outcome, Target, secrets_of, try_route, victim_of
from tenantry.cli.demo.loading import Counts, counted, expected_counts, fingerprints, load
from tenantry.cli.demo.logs import read_customers
from tenantry.cli.demo.routes import ROUTES
from tenantry.cli.demo.serving import serving, wait_for_interrupt
from tenantry.cli.demo.stage import Stage
from tenantry.cli.demo.systems import OTHERS, Filled, opened, serve_helpdesk
from tenantry.cli.demo.world import create_tenant, gather_statistics, installed_helpdesk, started_servers
from tenantry.embedded import PostgresServer
from tenantry.packs.helpdesk import Helpdesk
from tenantry.types import Tenant


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the demo found: how much it looked at, and each number that is off."""

    rows: int
    attempts: int
    faults: Sequence[str]
    requests: int = 0

    @property
    def held(self) -> bool:
        """Whether every number is as it should be."""
        return not self.faults


def play(data: Path | None, *, tickets: int, rows: int, port: int, stay: bool) -> Verdict:
    """Runs the whole demo on servers of its own, shows it, and returns what it found.

    With *stay* the five APIs are served until somebody interrupts, unless a number is off.

    Raises: ConfigurationError when *data* lacks a log; ExtraMissing, EmbeddedServerError.
    """
    stage = Stage()
    with stage.act("read the logs" if data else "made up customers") as act:
        customers = read_customers(data) if data else make_customers(tickets=tickets)
        act.note = f"{len(customers)}, with {sum(customer.size for customer in customers):,} rows"
    with contextlib.ExitStack() as stack:
        with stage.act("started two servers") as act:
            server, directory = stack.enter_context(started_servers())
            act.note = f"PostgreSQL {server.version} out of a wheel, and a directory for SQLite files"
        with stage.act("installed Tenantry on both") as act:
            desk = stack.enter_context(installed_helpdesk(server, directory))
            act.note = "catalog, roles, walls; sessions run under a login that owns nothing"
        verdict = perform(desk.tenancy, customers, stage=stage, settled=lambda: gather_statistics(server))
        if verdict.held:
            systems = [_helpdesk(desk, customers), *_fill(stack, server, data, rows=rows, stage=stage)]
            url = stack.enter_context(serving([filled.served for filled in systems], port=port))
            verdict = _call(url, systems, verdict, stage)
        stage.show_verdict(verdict, routes=len(ROUTES))
        if stay and verdict.held:
            stage.show_callers(url, systems)
            wait_for_interrupt()
    return verdict


def _helpdesk(desk: Helpdesk, customers: Sequence[Customer]) -> Filled:
    served = serve_helpdesk(desk, [customer.slug for customer in customers])
    return Filled("Helpdesk", len(customers), sum(customer.size for customer in customers), served)


def _fill(
    stack: contextlib.ExitStack, server: PostgresServer, data: Path | None, *, rows: int, stage: Stage
) -> Iterator[Filled]:
    for system in OTHERS:
        with stage.act(f"filled {system.name}") as act:
            samples = system.samples(data, rows=rows)
            with stage.progress(system.name, sum(sample.size for sample in samples)) as told:
                filled = stack.enter_context(opened(system, server, samples, told=told))
            act.note = f"{filled.tenants} tenants, {filled.rows:,} rows"
        yield filled


def _call(url: str, systems: Sequence[Filled], verdict: Verdict, stage: Stage) -> Verdict:
    with stage.act("called the five APIs") as act:
        found = [exercise(url, filled.served) for filled in systems]
        requests = sum(one.calls for one in found)
        act.note = f"{requests} requests, with tokens of their tenants, of their neighbours, and without"
    stage.show_calls(found)
    faults = [f"{one.name}: {fault}" for one in found for fault in one.faults]
    return replace(verdict, requests=requests, faults=[*verdict.faults, *faults])


def perform(
    tenancy: Tenancy, customers: Sequence[Customer], *, stage: Stage, settled: Callable[[], None] = lambda: None
) -> Verdict:
    """Moves the customers in, counts them, lets the intruders try, and compares; calls *settled* once all are in."""
    tenants = _move_in(tenancy, customers, stage)
    settled()
    counts = _count(tenancy, customers, stage)
    stage.show_tenants(customers, counts)
    with stage.act("took every tenant's fingerprint") as act:
        before = fingerprints(tenancy, customers)
        act.note = "a digest of all its rows, through its own session"
    outcomes = _break_in(tenancy, customers, tenants, stage)
    stage.show_outcomes(outcomes)
    with stage.act("compared the fingerprints"):
        after = fingerprints(tenancy, customers)
    rows = sum(count.total for count in counts.values())
    return Verdict(rows, len(outcomes), [*_miscounted(customers, counts), *_got_in(outcomes), *_changed(before, after)])


def _move_in(tenancy: Tenancy, customers: Sequence[Customer], stage: Stage) -> list[Tenant]:
    with stage.act(f"created {len(customers)} tenants") as act:
        tenants = [create_tenant(tenancy, customer) for customer in customers]
        act.note = f"in {len({customer.place for customer in customers})} kinds of place"
    total = sum(customer.size for customer in customers)
    with stage.act("loaded them") as act, stage.progress("loading", total) as told:
        load(tenancy, customers, told=told)
        act.note = f"{total:,} rows"
    return tenants


def _count(tenancy: Tenancy, customers: Sequence[Customer], stage: Stage) -> dict[str, Counts]:
    counts = {}
    with stage.act("counted them") as act:
        for customer in customers:
            with tenancy.session(customer.slug) as db:
                counts[customer.slug] = counted(db)
        act.note = "each through its own session"
    return counts


def _break_in(
    tenancy: Tenancy, customers: Sequence[Customer], tenants: Sequence[Tenant], stage: Stage
) -> list[Outcome]:
    with stage.act("let intruders sign up") as act:
        intruders = _let_in(tenancy)
        victims = {customer.place: victim_of(tenancy, customer) for customer in reversed(customers)}
        act.note = f"one ordinary tenant in each of {len(intruders)} places"
    secrets = secrets_of(tenants)
    with stage.act("tried to break in") as act:
        outcomes = [
            try_route(route, Target(tenancy, place, intruders[place], victims), secrets=secrets)
            for route in ROUTES
            for place in route.places
        ]
        act.note = f"{len(ROUTES)} routes, {len(outcomes)} attempts"
    return outcomes


def _let_in(tenancy: Tenancy) -> Mapping[Place, Tenant]:
    customers = make_intruders()
    intruders = {customer.place: create_tenant(tenancy, customer) for customer in customers}
    load(tenancy, customers)
    return intruders


def _miscounted(customers: Sequence[Customer], counts: Mapping[str, Counts]) -> Iterator[str]:
    for customer in customers:
        if counts[customer.slug] != expected_counts(customer):
            yield f"{customer.slug} has {counts[customer.slug]}, but was given {expected_counts(customer)}"


def _got_in(outcomes: Sequence[Outcome]) -> Iterator[str]:
    return (f"{one.route.name}, {one.place.title}: {one.words}" for one in outcomes if not one.held)


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    return (f"{slug}: its rows changed while others broke in" for slug in before if before[slug] != after[slug])
