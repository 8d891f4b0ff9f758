"""The functions that search past the policies look inside the bound tenant alone; the doctor knows every other form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from cells import SYNC_PLACES, Ground, Place
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tenantry.doctor import examine
from tenantry.errors import SearchNotReady
from tenantry.types import Finding

from .library import Paper, Room

ROWS = SYNC_PLACES[0]
NAME = "tenantry_find_papers"


@dataclass(frozen=True)
class Home:
    """Where papers stand: a database and a schema of it."""

    url: str = field(repr=False)
    schema: str
    place: Place

    def finds(self, finding: Finding) -> bool:
        """Whether a finding is of this home."""
        own = self.place.cell == "postgresql-database"
        return ("/" in finding.object) == own and f"{self.schema}." in finding.object

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.replace("{s}", self.schema))

    def definition(self, name: str = NAME) -> str:
        with psycopg.connect(self.url) as connection:
            asked = "SELECT pg_get_functiondef((%s)::regprocedure)"
            return connection.execute(asked, (f"{self.schema}.{name}(text,integer)",)).fetchone()[0]  # type: ignore[index]


@pytest.fixture(params=SYNC_PLACES[:3], ids=lambda place: place.cell)
def home(request: pytest.FixtureRequest, ground: Ground) -> Home:
    return home_of(ground, request.param)


def home_of(ground: Ground, place: Place) -> Home:
    tenant = ground.tenancy(place).tenants.get(f"near-{place.cell}")
    schema = tenant.physical if place.cell == "postgresql-schema" else "public"
    database = f"/{tenant.physical}" if place.cell == "postgresql-database" else None
    url = ground.owner_url.rpartition("/")[0] + database if database else ground.owner_url
    return Home(url, schema, place)


def faults(ground: Ground) -> list[Finding]:
    return [found for found in examine(ground.tenancy(ROWS)).findings if found.code in ("D503", "D504", "D509")]


def test_the_doctor_finds_no_fault_with_what_install_made(ground: Ground) -> None:
    assert [found.code for found in examine(ground.tenancy(ROWS)).findings if found.code[:2] == "D5"] == []


def without_tenant(definition: str) -> str:
    return definition.replace('t."tenant_id" = $2 AND', "($2 IS NULL OR true) AND")


def of_an_argument(definition: str) -> str:
    wider = definition.replace("most integer)", "most integer, whose uuid)", 1)
    return wider.replace("current_setting('tenantry.tenant')::uuid, most", "whose, most")


def of_the_caller(definition: str) -> str:
    kept = [line for line in definition.splitlines() if not line.strip().startswith("SET search_path")]
    return "\n".join(kept)


def of_no_definer(definition: str) -> str:
    return definition.replace("SECURITY DEFINER", "")


SIGNATURE = f"{{s}}.{NAME}(text, integer)"
PLANTED = {
    "no tenant": (without_tenant, "D503"),
    "the tenant from an argument": (of_an_argument, "D503", "D509"),
    "no search_path of its own": (of_the_caller, "D503"),
    "no definer": (of_no_definer, "D509"),
    "another owner": (f"ALTER FUNCTION {SIGNATURE} OWNER TO CURRENT_USER", "D503"),
    "another search_path": (f"ALTER FUNCTION {SIGNATURE} SET search_path = public", "D503"),
    "a setting more": (f"ALTER FUNCTION {SIGNATURE} SET enable_seqscan = off", "D503"),
    "everybody's": (f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO PUBLIC", "D503"),
    "the platform's": (f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO tenantry_platform", "D503"),
    "gone": (f"DROP FUNCTION {SIGNATURE}", "D509"),
    "no column": ("ALTER TABLE {s}.papers DROP COLUMN tenantry_search", "D509"),
    "another column": (
        "ALTER TABLE {s}.papers DROP COLUMN tenantry_search, ADD COLUMN tenantry_search tsvector "
        "GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, title)) STORED",
        "D509",
    ),
}


ROUNDS = [list(PLANTED)[start : start + 3] for start in range(0, len(PLANTED), 3)]
TURNS = [0, *(pytest.param(turn, marks=pytest.mark.soak) for turn in (1, 2))]


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("names", ROUNDS, ids=lambda names: ", ".join(names))
def test_every_other_form_of_it_is_found_and_the_fix_cures_it(ground: Ground, names: list[str], turn: int) -> None:
    """One in the common tables, one in a tenant's schema, one in a tenant's database; in turns each everywhere."""
    homes = [home_of(ground, SYNC_PLACES[(number + turn) % 3]) for number in range(3)]
    for home, name in zip(homes, names, strict=True):
        plant(home, PLANTED[name][0])
    found = faults(ground)
    codes = [codes for name in names for codes in PLANTED[name][1:]]
    assert sorted(finding.code for finding in found) == sorted(codes)
    for home in homes:
        # Where something stands in the function's place, the one and the other fix make it.
        for finding in found:
            if home.finds(finding):
                home.run(finding.fix)
    assert faults(ground) == []
    for home in homes:
        with ground.session(home.place) as door:
            assert len(door.call(ground.made(home.place).papers.query, "paper")) == 2


def plant(home: Home, change: Any) -> None:
    """Runs a statement, or puts the function there in another form, the operator's own as before."""
    if isinstance(change, str):
        home.run(change)
        return
    changed = change(home.definition())
    assert changed != home.definition()
    given = changed.partition("(")[0].rpartition(" ")[2]
    home.run(
        f"DROP FUNCTION {SIGNATURE}",
        "GRANT CREATE ON SCHEMA {s} TO tenantry_operator",
        f"SET ROLE tenantry_operator; {changed}; REVOKE ALL ON FUNCTION {given} FROM PUBLIC; RESET ROLE",
        f"GRANT EXECUTE ON FUNCTION {given} TO tenantry_app; REVOKE CREATE ON SCHEMA {{s}} FROM tenantry_operator",
    )


def ids(ground: Ground, side: str, statement: str) -> set[Any]:
    with ground.session(ROWS, side) as door:
        return {row[0] for row in door.session.execute(text(statement))}


def test_asked_by_sql_it_gives_the_bound_tenants_keys(ground: Ground) -> None:
    everybody = f"SELECT id FROM {NAME}('paper or far', 100)"
    own = {side: ids(ground, side, "SELECT id FROM papers") for side in ("near", "far")}
    found = {side: ids(ground, side, everybody) for side in ("near", "far")}
    strange = {side: found[side] - own[side] for side in found if found[side] - own[side]}
    assert not strange, f"leaked: {strange}"
    assert [len(found[side]) for side in ("near", "far")] == [2, 4]
    assert not own["near"] & own["far"]


def test_what_is_asked_does_not_say_whose_rows_are_searched(ground: Ground) -> None:
    far = ground.tenancy(ROWS).tenants.get("far-postgresql-rows").id
    found = ids(ground, "near", f"SELECT id FROM {NAME}('paper or far or {far}', 100)")
    strange = found - ids(ground, "near", "SELECT id FROM papers")
    assert not strange, f"leaked: {strange}"
    assert len(found) == 2


def test_nothing_of_the_callers_runs_with_the_operators_rights(ground: Ground) -> None:
    home = home_of(ground, ROWS)
    home.run(
        "CREATE SCHEMA aside; GRANT USAGE ON SCHEMA aside TO PUBLIC; CREATE FUNCTION aside.ts_rank(tsvector, tsquery) "
        "RETURNS real LANGUAGE sql AS 'SELECT 42::real'"
    )
    try:
        with ground.session(ROWS) as door:
            door.session.execute(text("SET LOCAL search_path = aside, public, pg_catalog"))
            ranks = {row[0] for row in door.session.execute(text(f"SELECT rank FROM {NAME}('paper', 100)"))}
    finally:
        home.run("DROP SCHEMA aside CASCADE")
    assert ranks
    assert 42 not in ranks, "leaked: a function of the caller's ran as the operator"


def test_what_lost_its_tenant_leaks_and_so_these_tests_would_tell(ground: Ground) -> None:
    home = home_of(ground, ROWS)
    plant(home, without_tenant)
    leaked = ids(ground, "near", f"SELECT id FROM {NAME}('paper or far', 100)")
    (finding,) = faults(ground)
    home.run(finding.fix)
    assert leaked & ids(ground, "far", "SELECT id FROM papers")


@pytest.fixture
def app(ground: Ground) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the app's login that says no tenant."""
    url = ground.tenancy(ROWS).servers.get("main").url("app", action="Trying")
    with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as connection:
        yield connection


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT * FROM public.{NAME}('paper', 10)",
        f"SET LOCAL tenantry.tenant = 'catalog'; SELECT * FROM public.{NAME}('paper', 10)",
        f"SET LOCAL tenantry.tenant = ''; SELECT * FROM public.{NAME}('paper', 10)",
        f"DROP FUNCTION public.{NAME}(text, integer)",
        f"ALTER FUNCTION public.{NAME}(text, integer) RESET search_path",
        f"CREATE OR REPLACE FUNCTION public.{NAME}(wanted text, most integer) RETURNS TABLE (id uuid, rank real) "
        "LANGUAGE sql AS 'SELECT id, 1::real FROM public.papers'",
        "CREATE FUNCTION public.ts_rank(tsvector, tsquery) RETURNS real LANGUAGE sql AS 'SELECT 1::real'",
        "CREATE TEMP TABLE papers (tenant_id uuid, id uuid)",
    ],
)
def test_the_apps_login_can_neither_ask_without_a_tenant_nor_change_it(
    app: psycopg.Connection[Any], statement: str
) -> None:
    with pytest.raises(psycopg.Error):
        app.execute(statement)


def test_where_it_was_not_put_up_that_is_said_and_install_puts_it_up(ground: Ground, home: Home) -> None:
    room: Room = ground.made(home.place)
    untidy = "ALTER TABLE {s}.papers DROP COLUMN tenantry_search"
    home.run(untidy, f"DROP FUNCTION {SIGNATURE}", f"DROP FUNCTION {SIGNATURE.replace('find', 'alike')}")
    with ground.session(home.place) as door:
        for method in (room.papers.query, room.papers.similar):
            with pytest.raises(SearchNotReady):
                door.call(method, "paper")
            door.rollback()
    room.papers.install()
    with ground.session(home.place) as door:
        assert {hit.row.title for hit in door.call(room.papers.query, "paper")} == {
            "A paper on owls",
            "Printer out of paper",
        }
    assert faults(ground) == []


def test_installing_again_changes_nothing(ground: Ground) -> None:
    homes = [home_of(ground, place) for place in SYNC_PLACES[:3]]
    before = [standing(home) for home in homes]
    # The common tables, and two tenants in a schema and two in a database.
    assert ground.made(ROWS).papers.install() == 5
    ground.tenancy(ROWS).install()
    assert [standing(home) for home in homes] == before


def standing(home: Home) -> Any:
    """Returns what tells whether a function or a table was written anew."""
    with psycopg.connect(home.url) as connection:
        asked = (
            "SELECT p.oid, p.xmin::text FROM pg_proc p WHERE p.proname ~ '^tenantry_(find|alike)_papers' "
            "UNION ALL SELECT c.oid, c.relfilenode::text FROM pg_class c WHERE c.relname ~ 'papers' ORDER BY 1"
        )
        return connection.execute(asked).fetchall()


def test_an_error_of_another_kind_stays_what_it_is(ground: Ground) -> None:
    with ground.session(ROWS) as door, pytest.raises(DBAPIError):
        door.call(ground.made(ROWS).papers.query, "paper", where=[text("nonsense")])
    assert Paper.__table__.columns.keys() == ["tenant_id", "id", "title", "content", "stars"]
