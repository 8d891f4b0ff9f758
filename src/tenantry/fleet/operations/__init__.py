"""Alembic's operations in our homes: walls stay up, keys are lifted, rows are changed by the operator and counted."""

from tenantry.fleet.operations.homes import home_impl, prepared

__all__ = ["home_impl", "prepared"]
