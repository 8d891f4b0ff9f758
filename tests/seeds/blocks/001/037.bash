# Install PostgreSQL (macOS)
brew install postgresql@15
brew services start postgresql@15

# Create database
createdb slack_fathom_crono

# Create user (optional)
psql postgres -c "CREATE USER myuser WITH PASSWORD 'mypassword';"
psql postgres -c "GRANT ALL PRIVILEGES ON DATABASE slack_fathom_crono TO myuser;"
