"""``tenantry demo``: a dozen tenants on two servers, and an intruder in each kind of place."""

from tenantry.cli.demo.command import demo

__all__ = ["demo"]
