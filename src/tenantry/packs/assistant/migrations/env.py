"""What the `alembic` command runs in this directory: `-x home=SLUG` or `-x server=NAME` chooses another home."""

import logging

from tenantry.fleet.environment import run
from tenantry.packs.assistant import assistant_tenancy

logging.basicConfig(format="%(levelname)-5s [%(name)s] %(message)s")
logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)

run(assistant_tenancy())
