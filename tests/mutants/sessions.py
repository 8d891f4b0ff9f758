"""Faults between the program and the wall: binding, connections, sessions, routes, engines."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest
from sqlalchemy import true
from sqlalchemy.orm import with_loader_criteria

from mutants.mutant import mutant, replace, silence
from mutants.postgres import ROWS, catalog_answers_tenants, let_unbound_statements_through
from mutants.sqlite import sqlite_file_unfenced
from tenantry.catalog.resolver import Kept
from tenantry.errors import ContextLost
from tenantry.isolation import hooks
from tenantry.isolation.drivers import asyncpg as asyncpg_driver
from tenantry.isolation.drivers import psycopg as psycopg_driver
from tenantry.isolation.engines import AsyncEngines, Engines
from tenantry.isolation.postgres import PostgresServer
from tenantry.models import stamping
from tenantry.models.mixins import Walled
from tenantry.session import core, routes
from tenantry.session.core import BoundSession, TenantSession
from tenantry.session.criteria import tenant_criteria

ASYNCPG = "postgresql-rows-async-asyncpg"
# Through the synchronous door of the server without walls.
UNWALLED = "sync-server0"


@mutant(
    "the tenant is set for the connection, not for the transaction",
    places=f"{ROWS} postgresql-rows-async-psycopg {ASYNCPG} postgresql-schema-sync",
    routes="test_residue::test_binding_after_its_transaction",
)
def session_level_set(patch: pytest.MonkeyPatch) -> None:
    replace(patch, PostgresServer, "preamble", "SET LOCAL ", "SET ")


@mutant(
    "the tenant is set for the connection, and statements without a tenant are let through",
    places=f"{ROWS} postgresql-rows-async-psycopg {ASYNCPG}",
    routes="test_context::test_connection_without_a_tenant_after_anothers_session",
)
def session_level_set_without_a_fence(patch: pytest.MonkeyPatch) -> None:
    session_level_set(patch)
    let_unbound_statements_through(patch)


@mutant(
    "on asyncpg a binding serves every transaction that follows, and check-out does not take it away",
    places=ASYNCPG,
    routes="test_context::test_connection_without_a_tenant_after_anothers_session",
)
def asyncpg_armed_for_good(patch: pytest.MonkeyPatch) -> None:
    extend = asyncpg_driver.BoundConnection._extended

    def extended(self: Any, query: str) -> str:
        armed = self.armed
        found = extend(self, query)
        self.armed = armed
        return found

    patch.setattr(asyncpg_driver.BoundConnection, "_extended", extended)
    let_unbound_statements_through(patch)


@mutant(
    "statements without a tenant are let through, and the catalog answers anybody",
    places=f"{ROWS} {ASYNCPG}",
    routes="test_catalog::test_functions_on_a_connection_without_a_tenant",
)
def unbound_statements_pass(patch: pytest.MonkeyPatch) -> None:
    let_unbound_statements_through(patch)
    catalog_answers_tenants(patch)


@mutant(
    "nobody looks at a connection that leaves the pool",
    places=ROWS,
    routes="test_context::test_connection_that_waited_inside_a_transaction",
)
def checkout_guard_dropped(patch: pytest.MonkeyPatch) -> None:
    silence(patch, hooks, "_refuse_dirty_psycopg")


@mutant(
    "a transaction that a COMMIT in text has ended is not noticed, and the catalog answers anybody",
    places=f"{ROWS} postgresql-rows-async-psycopg {ASYNCPG}",
    routes="test_catalog::test_functions_after_a_commit_in_text",
)
def text_commit_unnoticed(patch: pytest.MonkeyPatch) -> None:
    for connection in (psycopg_driver._Watched, asyncpg_driver.BoundConnection):
        patch.setattr(connection, "watch", _blind(connection.watch))
    catalog_answers_tenants(patch)


def _blind(watch: Any) -> Any:
    def watched(self: Any, query: Any) -> None:
        try:
            watch(self, query)
        except ContextLost:
            return

    return watched


@mutant(
    "the end of a transaction sweeps nothing off the connection",
    places=f"{ROWS} {ASYNCPG}",
    routes="test_residue::test_custom_setting_with_a_secret test_residue::test_listening",
)
def nothing_swept(patch: pytest.MonkeyPatch) -> None:
    for driver in (psycopg_driver, asyncpg_driver):
        patch.setattr(driver, "SWEEP", "SELECT 1")


@mutant(
    "no statement is thought to leave anything on a connection",
    places=ROWS,
    routes="test_residue::test_custom_setting_with_a_secret test_residue::test_advisory_lock",
)
def residue_unnoticed(patch: pytest.MonkeyPatch) -> None:
    for driver in (psycopg_driver, asyncpg_driver):
        patch.setattr(driver, "may_leave_residue", lambda _: False)


@mutant(
    "a session takes objects of another tenant, and a tenant's own file takes their rows",
    places="sqlite-file-sync sqlite-file-async-aiosqlite",
    routes="test_tenant_column::test_new_object_of_the_foreign_tenant"
    " test_identity_map::test_whole_graph_added_by_its_root",
)
def stamp_unchecked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TenantSession, "adopt", lambda self, row: stamping.stamp(row, self.tenant.id))
    sqlite_file_unfenced(patch)


@mutant(
    "an object's tenant may be changed, and neither the flush nor the file looks",
    places="sqlite-file-sync",
    routes="test_tenant_column::test_pending_object_given_away",
)
def tenant_mutable(patch: pytest.MonkeyPatch) -> None:
    silence(patch, stamping, "_refuse_other_tenant")
    stamp_unchecked(patch)


@mutant(
    "sessions share one identity map",
    places=f"{ROWS} sqlite-rows-sync",
    routes="test_identity_map::test_get_of_a_row_that_another_session_holds",
)
def identity_map_shared(patch: pytest.MonkeyPatch) -> None:
    make = BoundSession.__init__
    everyones: list[Any] = []

    def shared(self: BoundSession, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        everyones.append(self.identity_map)
        self.identity_map = everyones[0]

    patch.setattr(BoundSession, "__init__", shared)


@mutant(
    "statements without a predicate are let through where no wall stands",
    places="test_core_tables-test_select test_text_sql-test_select",
    routes="test_unwalled::test_route",
)
def guard_dropped(patch: pytest.MonkeyPatch) -> None:
    silence(patch, TenantSession, "_refuse_unwalled")


@mutant(
    "of an ORM statement only the entities are looked at where no wall stands",
    places="test_subqueries-test_lateral test_text_sql-test_text_inside_an_orm_statement",
    routes="test_unwalled::test_route",
)
def guard_of_entities_alone(patch: pytest.MonkeyPatch) -> None:
    silence(patch, core, "unscoped_part")


@mutant(
    "statements get no predicate",
    places=UNWALLED,
    routes="test_unwalled::test_entities test_unwalled::test_entities_of_the_other_tenant",
)
def criteria_dropped(patch: pytest.MonkeyPatch) -> None:
    everything = with_loader_criteria(Walled, lambda _: true(), include_aliases=True)
    patch.setattr(routes, "tenant_criteria", lambda _: everything)


@mutant(
    "statements get the predicate of whichever tenant came first",
    places=UNWALLED,
    routes="test_unwalled::test_entities_of_the_other_tenant",
)
def criteria_of_the_first_tenant(patch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def stale(tenant: Any) -> Any:
        seen.append(tenant)
        return tenant_criteria(seen[0])

    patch.setattr(routes, "tenant_criteria", stale)


@mutant(
    "routes are kept under a key's value and forget its kind",
    places=f"{ROWS} sqlite-rows-sync sqlite-file-sync",
    routes="test_keys::test_identity_that_reads_like_anothers_slug",
)
def routes_forget_the_kind(patch: pytest.MonkeyPatch) -> None:
    get, put = Kept.get, Kept.put
    patch.setattr(Kept, "get", lambda self, key: get(self, ("", key[1])))
    patch.setattr(Kept, "put", lambda self, key, *args, **options: put(self, ("", key[1]), *args, **options))


@mutant(
    "the engine of one tenant's file serves every tenant, and the file takes their rows",
    places="sqlite-file-sync sqlite-file-async-aiosqlite",
    routes="test_text_sql::test_select test_orm_select::test_legacy_query_of_columns",
)
def engine_for_everybody(patch: pytest.MonkeyPatch) -> None:
    for engines in (Engines, AsyncEngines):
        patch.setattr(engines, "bounded", _under_one_key(engines.bounded))
    sqlite_file_unfenced(patch)


def _under_one_key(bounded: Any) -> Any:
    def kept(self: Any, key: Hashable, make: Any) -> Any:
        return bounded(self, key if isinstance(key, tuple) else "", make)

    return kept
