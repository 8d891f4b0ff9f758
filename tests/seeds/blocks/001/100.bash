# Initialize Alembic (only needed once - already done)
# alembic init alembic

# Run migrations to create all tables
alembic upgrade head

# Verify tables were created
psql slack_fathom_crono -c "\dt"
