#!/bin/sh
# Drops the test database, makes it anew and applies the schema.
set -eu
cd "$(dirname "$0")"
if [ -z "${POSTGRES_DB:-}" ]; then
    set -a
    . ./.env.test
    set +a
fi
exec "${PYTHON:-python}" reset_db.py
