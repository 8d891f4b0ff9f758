"""The command line: ``tenantry``. Whatever is heavy waits until a command needs it."""

from __future__ import annotations

import sys

from tenantry.errors import ExtraMissing

try:
    from tenantry.cli.commands import root
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] not in ("typer", "rich"):
        raise
    root = None  # said in one sentence when somebody calls

__all__ = ["main"]


def main() -> None:
    """Runs the command that the arguments name, and ends the process with its exit code."""
    if root is None:
        sys.exit(f"tenantry: {ExtraMissing(module='The command line', extra='cli')}")
    root.main(prog_name="tenantry")
