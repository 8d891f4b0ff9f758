# Auto-generate migration from model changes
alembic revision --autogenerate -m "Add kill_switches table"

# Review generated migration file
# Edit if needed (Alembic doesn't catch everything)
