"""Loads sample organisations into the database that POSTGRES_* names: real documents from a directory, or made up."""

import sys

from tenantry.packs.documents import DatabaseInitializer, DatabaseInitializerConfig, PostgresConnectionConfig, samples
from tenantry.samples import load_all

if __name__ == "__main__":
    config = DatabaseInitializerConfig(connection_config=PostgresConnectionConfig.from_env())
    with DatabaseInitializer(config) as initializer:
        initializer.setup_database()
        found = samples.read(sys.argv[1]) if len(sys.argv) > 1 else samples.generated()
        added = load_all(initializer.get_database_manager().tenancy, found)
    print(f"{added} rows in {len(found)} organisations.")
