# Install Python dependencies
pip install -r requirements.txt

# This installs:
# - sqlalchemy==2.0.23
# - alembic==1.13.0
# - psycopg2-binary==2.9.9
# - python-dotenv==1.0.0
