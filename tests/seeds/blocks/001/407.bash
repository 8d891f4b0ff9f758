# Auto-generate migration from model changes
alembic revision --autogenerate -m "Add new_field to users table"

# Manually create empty migration
alembic revision -m "Add custom index"

# Edit the generated file in alembic/versions/
# Add your upgrade() and downgrade() logic
