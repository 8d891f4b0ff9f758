POSTGRES_HOST=localhost
POSTGRES_PORT=5432
POSTGRES_DB=test_db
POSTGRES_USER=test_user
POSTGRES_PASSWORD=test_password
AXAI_AUTO_DROP_DB=true          # Drop DB after tests
AXAI_LOAD_SAMPLE_DATA=false     # Load sample data
