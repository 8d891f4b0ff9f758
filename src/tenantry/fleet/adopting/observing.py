"""What is found in a database before it is taken over: rows without a tenant, keys that cross, names that clash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sqlalchemy import Table

from tenantry.fleet.adopting.expressions import HAS, SAYS, Expressions, Reference, Unruled, references
from tenantry.fleet.adopting.ground import Look
from tenantry.fleet.adopting.keys import uniques_of, unsaid_keys
from tenantry.fleet.adopting.plans import Found
from tenantry.fleet.adopting.shapes import FOREIGN, INDEX
from tenantry.fleet.adopting.stages import TableCount
from tenantry.models import TENANT_COLUMN, Ownership, owned_tables, ownership
from tenantry.types import Finding

_SHOWN: Final = 3


def judge(look: Look) -> list[Finding]:
    """Returns what stands in the way of keys and wall; an empty list means that everything was looked at."""
    plain = [*_judge_plan(look.expressions), *look.findings()]
    if plain:
        # The rest asks questions that these make impossible.
        return plain
    tables = look.expressions.walled
    return [
        *_judge_keys(look.expressions),
        *_judge_slugs(look),
        *(finding for table in tables for finding in _judge_rows(look, table)),
        *(finding for table in tables for finding in _judge_references(look, table)),
        *(finding for table in tables for finding in _judge_uniques(look, table)),
    ]


def remark(look: Look) -> list[Finding]:
    """Returns what the adoption will change that somebody may care about."""
    expressions = look.expressions
    return [*_missing_tables(expressions), *_lost(expressions), *_narrowed(expressions), *look.notes()]


def counts(look: Look) -> dict[str, TableCount]:
    """Returns the rows of every tenant's table, those without a tenant, and those that say another than they have."""
    return {table.name: _count(look, table.name) for table in look.expressions.walled}


def totals(look: Look) -> dict[str, TableCount]:
    """Returns the rows of every tenant's table, whosever they are."""
    places = {table.name: look.expressions.place(table.name) for table in look.expressions.walled}
    return {name: TableCount(look.rows(f"SELECT count(*) FROM {place}")[0][0]) for name, place in places.items()}


def count_tenants(look: Look) -> int:
    """Returns how many tenants the database knows."""
    return int(look.rows(f"SELECT count(*) FROM {look.expressions.found()} AS f")[0][0])


def _count(look: Look, name: str) -> TableCount:
    expressions = look.expressions
    total = look.rows(f"SELECT count(*) FROM {expressions.place(name)}")[0][0]
    without = look.rows(f"SELECT count(*) FROM {_without(look, name)} AS q")[0][0]
    if not expressions.given(name):
        return TableCount(total, without)
    differing = f"SELECT count(*) FROM {expressions.said(name)} AS q JOIN {look.mapping} AS m ON m.value = q.{SAYS}"
    return TableCount(total, without, look.rows(f"{differing} WHERE m.tenant <> q.{HAS}")[0][0])


def _without(look: Look, name: str) -> str:
    """Returns the rows that have no tenant, or before they are given one, those that find none."""
    expressions = look.expressions
    said = f"(SELECT q.* FROM {expressions.said(name)} AS q WHERE "
    if expressions.given(name):
        return f"{said}q.{HAS} IS NULL)"
    return f"{said}NOT EXISTS (SELECT 1 FROM {expressions.found()} AS f WHERE f.{SAYS} = q.{SAYS}))"


def _judge_plan(expressions: Expressions) -> Iterator[Finding]:
    found = expressions.plan.tenants
    if isinstance(found, Found) and found.table not in expressions.shapes:
        fix = "Name a table of the models that stands in the database."
        yield Finding("A101", found.table, "The table in which the tenants were to be found is not there.", fix)
        return
    for table in expressions.walled:
        yield from _judge_columns(expressions, table)
        try:
            expressions.says(table.name)
        except Unruled as why:
            fix = f"Say it in Plan.rows: {{{table.name!r}: value('column')}} or through('table')."
            yield Finding("A102", table.name, f"The plan does not say whose its rows are: {why}.", fix)


def _judge_columns(expressions: Expressions, table: Table) -> Iterator[Finding]:
    shape, losing = expressions.shapes[table.name], expressions.plan.losing
    is_record = ownership(table) is Ownership.RECORD
    for column in table.columns:
        made = column.name == TENANT_COLUMN or (is_record and column.name == "id")
        if column.name not in shape.then and not made:
            fix = "Add it first, as the models say, or leave it to a migration after the adoption."
            yield Finding("A108", f"{table.name}.{column.name}", "The models have a column that is not there.", fix)
    if is_record and "id" in shape.then:
        message = "A tenant's record has the tenant's identifier for its id, and this table has an id of its own."
        yield Finding("A118", table.name, message, "Make the model TenantOwned, or rename the column first.")
    for then, now in shape.then.items():
        label = f"{table.name}.{then}"
        unknown = then not in table.columns and then != TENANT_COLUMN and label not in losing
        if unknown and shape.columns[now].required and not shape.columns[now].filled:
            fix = f"Declare it, give it a default, or let it go: Plan(losing={{{label!r}}})."
            yield Finding("A115", label, "The models do not know the column, and it takes no row without it.", fix)


def _judge_keys(expressions: Expressions) -> Iterator[Finding]:
    for unsaid in unsaid_keys(expressions):
        if unsaid.label not in expressions.plan.losing:
            message = f"The {unsaid.title} does not stand in the models, so it would go."
            fix = f"Declare it in the models, or let it go: Plan(losing={{{unsaid.label!r}}})."
            yield Finding("A105", unsaid.label, message, fix)


def _judge_slugs(look: Look) -> Iterator[Finding]:
    question = f"SELECT slug, count(*), min({SAYS}) FROM {look.expressions.found()} AS f GROUP BY slug"
    for slug, count, said in look.rows(f"{question} HAVING count(*) > 1"):
        message = f"{count} tenants would get the slug {slug!r}, {said!r} among them."
        yield Finding("A109", str(said), message, "Give Found(slug=…) an expression that tells them apart.")


def _judge_rows(look: Look, table: Table) -> Iterator[Finding]:
    count = _count(look, table.name)
    if count.without:
        shown = _shown(look, table, _without(look, table.name))
        message = f"{count.without} of {count.rows} row(s) find no tenant{shown}."
        fix = "Give them one, delete them, or have the plan's rule answer for them: coalesce(column, 'house')."
        yield Finding("A103", table.name, message, fix)
    if count.differing:
        message = f"{count.differing} row(s) have another tenant than they say."
        yield Finding("A110", table.name, message, "Adoption.refill() gives them the one they say; or mend the rows.")


def _judge_references(look: Look, table: Table) -> Iterator[Finding]:
    for reference in references(table):
        if reference.target.name not in look.expressions.shapes:
            continue
        label = f"{table.name}({', '.join(reference.pairs)})"
        if reference.walled and (crossing := _crossing(look, table, reference)):
            message = f"{crossing} row(s) refer to a row of {reference.target.name} that is another tenant's."
            yield Finding("A104", label, message, "Mend or delete them: no key can hold them once tenants are apart.")
        if orphans := _orphans(look, table, reference):
            message = f"{orphans} row(s) refer to a row of {reference.target.name} that is not there."
            yield Finding("A106", label, message, "Mend or delete them; the models' foreign key would refuse them.")


def _crossing(look: Look, table: Table, reference: Reference) -> int:
    expressions = look.expressions
    told = HAS if expressions.given(table.name) else SAYS
    child, parent = expressions.said(table.name), expressions.said(reference.target.name)
    question = f"SELECT count(*) FROM {child} AS r JOIN {parent} AS p ON {_same(look, reference)}"
    return int(look.rows(f"{question} WHERE r.{told} <> p.{told}")[0][0])


def _orphans(look: Look, table: Table, reference: Reference) -> int:
    expressions = look.expressions
    known = " AND ".join(f"r.{expressions.quote(own)} IS NOT NULL" for own in reference.pairs)
    parents = f"SELECT 1 FROM {expressions.rows(reference.target.name)} AS p WHERE {_same(look, reference)}"
    question = f"SELECT count(*) FROM {expressions.rows(table.name)} AS r WHERE {known} AND NOT EXISTS ({parents})"
    return int(look.rows(question)[0][0])


def _same(look: Look, reference: Reference) -> str:
    quote = look.expressions.quote
    return " AND ".join(f"p.{quote(referred)} = r.{quote(own)}" for own, referred in reference.pairs.items())


def _judge_uniques(look: Look, table: Table) -> Iterator[Finding]:
    expressions = look.expressions
    told = HAS if expressions.given(table.name) else SAYS
    for number, own in enumerate(uniques_of(table)):
        columns = [f"q.{expressions.quote(name)}" for name in own if name in expressions.shapes[table.name].then]
        known = " AND ".join(f"{column} IS NOT NULL" for column in [f"q.{told}", *columns])
        groups = ", ".join([f"q.{told}", *columns])
        question = (
            f"SELECT 1 FROM {expressions.said(table.name)} AS q WHERE {known} GROUP BY {groups} HAVING count(*) > 1"
        )
        label = f"{table.name}({', '.join(own)})"
        if clashes := look.rows(f"SELECT count(*) FROM ({question}) AS d")[0][0]:
            message = f"{clashes} value(s) stand in more than one row of a tenant."
            yield Finding("A107", label, message, "Mend or delete the rows; the models tell them apart by this key.")
        if number == 0 and columns and (empty := _empty(look, table, columns)):
            message = f"{empty} row(s) have no value in the key."
            yield Finding("A113", label, message, "Give them one; a primary key takes no NULL.")


def _empty(look: Look, table: Table, columns: Iterable[str]) -> int:
    missing = " OR ".join(f"{column} IS NULL" for column in columns)
    return int(look.rows(f"SELECT count(*) FROM {look.expressions.rows(table.name)} AS q WHERE {missing}")[0][0])


def _shown(look: Look, table: Table, rows: str) -> str:
    """Returns the keys of a few rows, for the operator to find them by."""
    shape = look.expressions.shapes[table.name]
    key = [shape.columns[name].former for name in shape.primary if not shape.columns[name].ours]
    if not key:
        return ""
    columns = ", ".join(f"q.{look.expressions.quote(name)}" for name in key)
    found = look.rows(f"SELECT {columns} FROM {rows} AS q ORDER BY {columns} LIMIT {_SHOWN}")
    return f" ({', '.join(key)}: {'; '.join(', '.join(map(str, row)) for row in found)})"


def _missing_tables(expressions: Expressions) -> Iterator[Finding]:
    for table in owned_tables(expressions.metadata):
        if table.name not in expressions.shapes:
            yield Finding("A201", table.name, "The table is not there; it will be made.", "Nothing need be done.")


def _lost(expressions: Expressions) -> Iterator[Finding]:
    for unsaid in unsaid_keys(expressions):
        if unsaid.label in expressions.plan.losing:
            message = f"The {unsaid.title} goes in stage enforce, as the plan says."
            yield Finding("A202", unsaid.label, message, "Nothing need be done.")


def _narrowed(expressions: Expressions) -> Iterator[Finding]:
    for table in expressions.walled:
        for key in expressions.shapes[table.name].keys:
            if key.kind not in (FOREIGN, INDEX) and TENANT_COLUMN not in key.columns:
                label = f"{table.name}({', '.join(key.columns)})"
                message = f"The {key.kind} will hold within each tenant, no longer across all."
                yield Finding("A203", label, message, "Nothing need be done, unless others rely on it.")
