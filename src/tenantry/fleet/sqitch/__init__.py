"""Sqitch projects as a second kind of history: the same plan, the same scripts, the same registry.

What ``sqitch`` deployed is continued here, and the other way round: for a tenant's own schema with ``--registry`` and
a target whose ``search_path`` is the schema, for everything else as ever. Every change stands for itself, as with
``--mode change``. Scripts get psql's variables from sqitch.conf and are sent statement by statement; in common tables
those that change or read tenants' rows run as the operator, since the owner stands behind the wall too.
"""

from tenantry.fleet.sqitch.history import SqitchHistory

__all__ = ["SqitchHistory"]
