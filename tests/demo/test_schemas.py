"""What the five APIs' own descriptions allow, thrown at them: no 5xx, and nothing for another tenant's token."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import pytest

from tenantry.cli.demo import systems
from tenantry.cli.demo.serving import Served, serving
from tenantry.embedded import PostgresServer
from tenantry.packs import helpdesk
from tenantry.packs.helpdesk import samples as helpdesk_samples

# The demo opens the helpdesk by itself, since its intruders have been there.
DESK = systems.System(
    "helpdesk",
    "Helpdesk",
    helpdesk.HelpdeskBase,
    helpdesk.Helpdesk,
    helpdesk_samples.generated,
    helpdesk_samples.read,
    systems.serve_helpdesk,
)
EXAMPLES, CASES = 30, 2000


@pytest.mark.soak
def test_schemathesis_finds_no_fault_in_the_five(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(PostgresServer())
        served = [
            stack.enter_context(systems.opened(system, server, system.generated(tenants=2, rows=20))).served
            for system in (DESK, *systems.OTHERS)
        ]
        url = stack.enter_context(serving(served))
        seen: dict[str, Counter[int]] = {}
        replayed: Counter[int] = Counter()
        for system in served:
            seen[system.name] = attack(f"{url}/{system.name}", system, replayed)
    cases = sum(count for counts in seen.values() for count in counts.values())
    with capsys.disabled():
        for name, counts in seen.items():
            print(f"\n{name}: {dict(sorted(counts.items()))}")
        print(f"{cases} cases; replayed with another tenant's token: {dict(sorted(replayed.items()))}")
    assert cases >= CASES


def attack(url: str, system: Served, replayed: Counter[int]) -> Counter[int]:
    """Calls every operation with what its description allows, as one tenant and with another's token."""
    # Here, since importing them takes half a second.
    import hypothesis
    import schemathesis

    own = system.callers[0]
    other = next(caller for caller in system.callers if caller.tenant != own.tenant)
    seen: Counter[int] = Counter()
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    settings = hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.definition.raw.get("security") == []:
            # The log-in and the health are for everybody.
            continue
        if operation.path.endswith("logout"):
            # Nothing would be let in after it.
            continue

        @settings
        @hypothesis.given(case=operation.as_strategy())
        def call(case: Any) -> None:
            named = {"X-Tenant": own.tenant}
            answer = case.call(headers={**named, "Authorization": f"Bearer {own.token}"}, base_url=url)
            again = case.call(headers={**named, "Authorization": f"Bearer {other.token}"}, base_url=url)
            seen[answer.status_code] += 1
            replayed[again.status_code] += 1
            assert answer.status_code < 500, (case.formatted_path, answer.text)
            assert not 200 <= again.status_code < 300, (case.formatted_path, again.text)

        call()
    return seen
