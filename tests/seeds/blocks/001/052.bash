# Run PostgreSQL in Docker
docker run -d \
  --name slack-fathom-postgres \
  -e POSTGRES_DB=slack_fathom_crono \
  -e POSTGRES_USER=myuser \
  -e POSTGRES_PASSWORD=mypassword \
  -p 5432:5432 \
  postgres:15-alpine

# Verify it's running
docker ps | grep slack-fathom-postgres
