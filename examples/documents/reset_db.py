"""Drops the test database that POSTGRES_* names and makes it anew; refuses any that is not called as tests' are."""

import sys

from tenantry.errors import DropRefused
from tenantry.packs.documents import DatabaseInitializer, DatabaseInitializerConfig, PostgresConnectionConfig

if __name__ == "__main__":
    config = DatabaseInitializerConfig(connection_config=PostgresConnectionConfig.from_env())
    try:
        with DatabaseInitializer(config) as initializer:
            initializer.reset_database()
    except DropRefused as refused:
        sys.exit(str(refused))
    print(f"{config.connection_config.database} is new.")
