"""``tenantry doctor``."""

from collections.abc import Sequence
from typing import Annotated

import typer

from tenantry.cli.applying import tenancy_of
from tenantry.cli.showing import AsJSON, as_data, print_json, print_table, progress, say
from tenantry.doctor import Report, examine
from tenantry.types import Finding

_EPILOG = """
Examples:

tenantry doctor

tenantry doctor --json | jq '.findings[].fix'

Codes: D is a fault, N a notice, U what could not be looked at. Exit codes: 0 well, 1 findings, 2 a mistake.
"""

app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def doctor(
    context: typer.Context,
    *,
    jobs: Annotated[int, typer.Option(min=1, help="How many tenants' databases to look at at once.")] = 4,
    as_json: AsJSON = False,
) -> None:
    """Judge logins, grants, walls, keys and versions on every server; change nothing."""
    tenancy = tenancy_of(context)
    with progress("Examining"):
        report = examine(tenancy, jobs=jobs)
    if as_json:
        print_json(_as_data(report))
    else:
        _print(report)
    raise typer.Exit(0 if report.ok else 1)


def _as_data(report: Report) -> dict[str, object]:
    return {
        "ok": report.ok,
        "examined": report.examined,
        "findings": [as_data(finding) for finding in report.findings],
        "notices": [as_data(finding) for finding in report.notices],
        "unseen": [as_data(finding) for finding in report.unseen],
    }


def _print(report: Report) -> None:
    _print_part("Findings", report.findings)
    _print_part("Notices", report.notices)
    _print_part("Not looked at", report.unseen)
    looked = ", ".join(report.examined)
    say(f"{len(report.findings)} findings, {len(report.notices)} notices. Examined: {looked}.")


def _print_part(title: str, found: Sequence[Finding]) -> None:
    if found:
        rows = [(finding.code, finding.object, finding.message) for finding in found]
        print_table(["code", "object", "what is wrong"], rows, title=title)
        typer.echo("\nWhat to do:")
        for finding in found:
            typer.echo(f"{finding.code} {finding.object}: {finding.fix}")
        typer.echo()
