# Check current version
alembic current

# Review pending migrations
alembic history

# Apply migrations
alembic upgrade head
