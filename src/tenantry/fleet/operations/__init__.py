"""Alembic's operations in our homes: walls stay up, keys are lifted, rows are changed by the operator and counted."""

from tenantry.fleet.operations import verbs as _verbs  # noqa: F401  # registers op.wall, op.share, op.holds, op.data
from tenantry.fleet.operations.homes import home_impl, prepared, touched
from tenantry.fleet.operations.statements import data_table

__all__ = ["data_table", "home_impl", "prepared", "touched"]
