"""Faults in the functions that search past the policies."""

from __future__ import annotations

import pytest

from mutants.mutant import SERVER, mutant, replace
from tenantry.isolation import searching

_TENANT = "current_setting('tenantry.tenant')::uuid"


@mutant(
    "a search's function carries no tenant's predicate",
    places=SERVER,
    routes="search/test_wall::test_asked_by_sql_it_gives_the_bound_tenants_keys",
)
def search_of_everybody(patch: pytest.MonkeyPatch) -> None:
    replace(patch, searching, "_body", 't."tenant_id" = $2 AND', "($2 IS NULL OR true) AND")


@mutant(
    "a search's function takes the tenant from what it is asked",
    places=SERVER,
    routes="search/test_wall::test_what_is_asked_does_not_say_whose_rows_are_searched",
)
def search_of_whom_the_caller_names(patch: pytest.MonkeyPatch) -> None:
    replace(patch, searching, "_body", _TENANT, f"coalesce(substring(wanted from '[0-9a-f-]{{36}}')::uuid, {_TENANT})")


@mutant(
    "a search's function finds names by its caller's search_path",
    places=SERVER,
    routes="search/test_wall::test_nothing_of_the_callers_runs_with_the_operators_rights",
)
def search_by_the_callers_path(patch: pytest.MonkeyPatch) -> None:
    fixed = "SET search_path = pg_catalog, tenantry_extensions, pg_temp "
    replace(patch, searching, "definer_statements", fixed, "")
