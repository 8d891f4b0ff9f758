"""What the `alembic` command runs: `-x home=SLUG` or `-x server=NAME` chooses another home than server main's."""

import logging

from tenantry import Tenancy
from tenantry.fleet.environment import run
from tenantry.packs.meetings import Meetings, MeetingsBase

logging.basicConfig(format="%(levelname)-5s [%(name)s] %(message)s")
logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)

meetings = Meetings(Tenancy.from_env(models=MeetingsBase))
run(meetings.tenancy)
