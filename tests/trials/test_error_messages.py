"""Every error of the public API says what happened, to whom, and what to do next; it prints, pickles and has a base."""

from __future__ import annotations

import inspect
import pickle
import re
import string
import uuid
from typing import Any

import pytest

from tenantry import errors
from tenantry.types import Finding

# What stands in the fields of an error when it is shown; the same for every class that has the field.
EXAMPLES: dict[str, Any] = {
    "action": "Listing tenants",
    "after": "77aa",
    "allowed": "active, erasing",
    "budget": 20,
    "argument": "note_id",
    "asked": 3,
    "before": "3f2a",
    "canary": "acme",
    "candidates": "users@v1, users@v2",
    "column": "subject",
    "company_id": 7,
    "count": 2,
    "current": "77aa",
    "error": "23503: insert or update violates a foreign key.",
    "event": uuid.UUID(int=5),
    "expected": 6,
    "extra": "postgres",
    "file": "deploy/users.sql",
    "findings": [Finding("M001", "tickets", "has no owner.", "Add TenantOwned.")],
    "fix": "Use two lower-case words joined by a dot.",
    "folder": "backups/backup_20261122_030000",
    "found": 7,
    "heads": "3f2a, 77aa",
    "held": "In use: acme for 31.0 s.",
    "home": "acme",
    "hook": "health",
    "isolation": "schema",
    "key": "acme",
    "kind": "slack_team",
    "known": "id, subject",
    "limit": 5,
    "line": 7,
    "log": "FATAL: no",
    "login": "postgres",
    "measure": "tokens",
    "mode": "AUTOCOMMIT",
    "model": "Ticket",
    "module": "The synchronous PostgreSQL door",
    "name": "berlin",
    "newest": 2,
    "next_step": "Finish its creation with `tenantry fleet work`.",
    "oldest": 1,
    "operation": uuid.UUID(int=11),
    "owner": uuid.UUID(int=13),
    "or_wait": ", or wait until the next month",
    "pattern": "test_*",
    "period": "month",
    "permission": "documents:create",
    "place": "ac.jsonl, line 3",
    "program": "pg_dump",
    "provider": "openai",
    "part": "key",
    "quota": "seats",
    "reason": "the disk is full. Free some space.",
    "reference": "env:CRM_TOKEN",
    "references": "notes.ticket_id (2 rows)",
    "resource": "api",
    "retry_after": 1.5,
    "revision": "3f2a",
    "role": "owner",
    "rows": 12,
    "run": uuid.UUID(int=9),
    "scripts": "migrations",
    "seconds": 0.25,
    "server": "main",
    "slug": "acme",
    "spent": 90,
    "statement": "Insert",
    "statements": "(1) SELECT ?",
    "stage": "enforce",
    "state": "done",
    "status": "suspended",
    "present": "open",
    "row": "Ticket",
    "step": "77aa",
    "store": "DirectoryStore('backups')",
    "subject": "ann",
    "table": "tickets",
    "target": "head",
    "task": "shop.remind",
    "told": "orders (sync): core: another tenant's rows are read.",
    "tenant": uuid.UUID(int=7),
    "topic": "ticket.created",
    "use": "sorted",
    "used": 11,
    "value": "T012",
    "verb": "upgrade",
    "waited": 30.0,
    "wanted": "active",
    "what": "context_setting='x' is not a PostgreSQL custom setting.",
    "when": "2026-11-22",
    "where": " in migrations",
    "whose": "The CRM token",
}

CLASSES = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, errors.TenantryError) and kind is not errors.TenantryError
]

# A next step is an imperative or names the call to make.
NEXT_STEP = re.compile(
    r"\b(Use|Run|Pass|Give|Set|Raise|Register|[Cc]hoose|Create|Open|Load|[Mm]end|Call|[Ll]ook|Narrow|End|Resume|Check|Add|"
    r"Finish|Free|Say|Send|List|Join|Wait|Begin|Bring|Drop|shows the newest|is tried again|"
    r"Keep|Known fields|Allowed from here|must repeat)\b"
)


def fields_of(kind: type[errors.TenantryError]) -> dict[str, Any]:
    """Returns example values for what *kind* is built with."""
    own = inspect.signature(kind.__init__).parameters
    if "fields" in own:
        names = {field for _, field, _, _ in string.Formatter().parse(inspect.cleandoc(kind.__doc__ or "")) if field}
    else:
        names = {name for name, parameter in own.items() if parameter.kind is parameter.KEYWORD_ONLY}
    return {name: EXAMPLES[name] for name in names}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_says_what_happened_and_what_to_do_next(kind: type[errors.TenantryError]) -> None:
    fields = fields_of(kind)
    error = kind(**fields)
    message = str(error)
    assert "{" not in message
    assert message.strip()
    assert message.rstrip()[-1] in ".!)" or "\n" in message
    assert NEXT_STEP.search(message), message
    for name, value in fields.items():
        assert getattr(error, name) == value


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_survives_a_pickle(kind: type[errors.TenantryError]) -> None:
    error = kind(**fields_of(kind))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert copy.fields == error.fields


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_without_its_fields_is_a_mistake_of_ours(kind: type[errors.TenantryError]) -> None:
    if fields_of(kind):
        with pytest.raises((KeyError, TypeError)):
            kind()
    else:
        assert str(kind())


def test_braces_in_a_value_stay_what_they_are() -> None:
    """The control for the check of braces: a user's own come through, and are not filled in."""
    assert "{tenant}" in str(errors.TenantNotFound(key="{tenant}"))


def test_the_table_of_errors(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(kind.__name__, str(kind(**fields_of(kind)))) for kind in CLASSES]
    with capsys.disabled():
        print("\n" + "\n".join(f"{name:26} {' '.join(message.split())}" for name, message in rows))
    assert len({message for _, message in rows}) == len(rows) >= 25
