# Start PostgreSQL test container
docker-compose --env-file .env.test up -d postgres

# Run all tests via script (includes unit, integration, and docker tests)
./run_tests.sh

# Run specific test types
pytest tests/unit/ -v                    # Unit tests only
pytest tests/integration/ -v             # Integration tests only
pytest tests/docker_integration/ -v      # Docker integration tests

# Run with markers
pytest -m unit                           # Tests marked as unit
pytest -m integration                    # Tests marked as integration
pytest -m db                             # Database-specific tests

# Run single test file
pytest tests/unit/test_models.py -v

# Run with coverage
pytest --cov=src --cov-report=html --cov-report=term-missing

# Clean up test containers
docker-compose --env-file .env.test down
