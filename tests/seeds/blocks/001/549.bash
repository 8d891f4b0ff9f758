# Check current version
alembic current

# Show SQL without running it
alembic upgrade head --sql

# Stamp database with version (skip migration)
alembic stamp head

# Reset alembic_version table
psql slack_fathom_crono -c "DELETE FROM alembic_version;"
alembic stamp head
