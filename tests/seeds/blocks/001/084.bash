# Database Configuration
DATABASE_URL=postgresql://myuser:mypassword@localhost:5432/slack_fathom_crono

# Connection pool settings (adjust based on load)
DATABASE_POOL_SIZE=20
DATABASE_MAX_OVERFLOW=10
DATABASE_POOL_TIMEOUT=30
DATABASE_POOL_RECYCLE=3600

# Debug mode (logs SQL - development only!)
DATABASE_ECHO=false
