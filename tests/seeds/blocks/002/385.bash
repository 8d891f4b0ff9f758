# Start standalone test database
docker-compose -f docker-compose.standalone-test.yml up -d

# Run tests
pytest tests/

# Cleanup
docker-compose -f docker-compose.standalone-test.yml down -v
