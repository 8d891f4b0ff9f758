# Reset database (drops, recreates, applies schema)
./reset_db.sh

# Apply schema manually
docker exec axai-pg-test psql -U test_user -d test_db -f /docker-entrypoint-initdb.d/schema.sql

# Add sample data
python add_sample_data.py
