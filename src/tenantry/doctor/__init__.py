"""The doctor: connects to every server and judges logins, grants, walls, keys, placements and versions.

``CODES`` lists every code that a finding may bear.
"""

from tenantry.doctor.codes import CODES
from tenantry.doctor.examining import examine
from tenantry.doctor.report import Report

__all__ = ["CODES", "Report", "examine"]
