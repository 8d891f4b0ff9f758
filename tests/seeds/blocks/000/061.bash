# Virtual environment (from backend directory)
source venv/bin/activate

# Install database dependencies
pip install sqlalchemy alembic psycopg2-binary

# Verify ORM models
python -c "from core.database.models import Base, Ticket; print('✅ ORM Models OK')"
