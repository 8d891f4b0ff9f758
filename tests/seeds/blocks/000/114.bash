# Database Configuration
USE_ORM=true                    # Enable ORM mode
DATABASE_TYPE=sqlite            # sqlite/postgresql

# PostgreSQL Configuration
POSTGRES_HOST=localhost
POSTGRES_PORT=5432
POSTGRES_DB=freshdesk_app
POSTGRES_USER=postgres
POSTGRES_PASSWORD=your_password

# SQLite Configuration (development)
SQLITE_DATA_DIR=./core/data

# Multi-tenant Configuration
TENANT_ID_VALIDATION=strict
MAX_TENANTS=1000
ALLOW_TENANT_CREATION=true
TENANT_ISOLATION=company

# Performance
CONNECTION_POOL_SIZE=20
QUERY_TIMEOUT=30
