"""``tenantry demo``, written in a room of its own."""

import typer

from tenantry.cli.demo import demo

_EPILOG = """
Examples:

tenantry demo

tenantry demo --check  (exits with 1 if any number is off)

tenantry demo --data DIR  (real logs instead of rows made up)
"""

app = typer.Typer(add_completion=False)
app.command(epilog=_EPILOG)(demo)
